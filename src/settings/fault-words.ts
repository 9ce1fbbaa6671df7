// The messages of all faults of a settings file, in English and in Chinese. The phrases after "wanted" are beside the
// keys of the schema that want them.

export type Language = "en" | "zh";

/** One text in both languages. */
export type Both = Readonly<Record<Language, string>>;

/** `{name}` is replaced by a value of this name. */
export const FAULTS = {
  // faults.ts
  missing: ["is missing, wanted {wants}", "缺少这一项，应为：{wants}"],
  found: ["found {found}, wanted {wants}", "实际是：{found}，应为：{wants}"],
  foundAtLeast: ["found {found}, wanted at least {min}", "实际是 {found}，应至少为 {min}"],
  foundAtMost: ["found {found}, wanted at most {max}", "实际是 {found}，应至多为 {max}"],
  noValidName: ["is not a valid name", "名称无效"],
  unknownNear: ["unknown key `{key}`; did you mean `{near}`?", "没有 `{key}` 这一项，是否想写 `{near}`？"],
  unknownKey: [
    "unknown key `{key}`; docs/reference/settings.md lists all keys",
    "没有 `{key}` 这一项，全部配置项见 docs/zh/settings.md",
  ],
  noProjects: [
    "is missing, wanted a list; `huiyuan check --help` shows a small file",
    "缺少这一项，应为：列表；`huiyuan check --help` 中有一份简短的示例",
  ],
  // load.ts
  notUtf8: ["the file is not UTF-8 text", "文件不是 UTF-8 文本"],
  noPlainFile: ["the file is a folder, a pipe or a device", "该路径是文件夹、管道或设备，不是普通文件"],
  fileTooLarge: ["the file is larger than {max} bytes", "文件超过 {max} 字节"],
  fileWouldBeTooLarge: ["the file would be above 1 MiB", "文件将超过 1 MiB"],
  noFile: [
    "no such settings file; name yours with --config FILE, let `huiyuan serve --new` write a first one, or run `huiyuan try`, which needs none",
    "没有这个配置文件；请用 `--config FILE` 指定，或用 `huiyuan serve --new` 生成一份，或运行不需要配置文件的 `huiyuan try`",
  ],
  unreadable: ["the file cannot be read ({why})", "无法读取文件（{why}）"],
  belowData: ["it lies below `data`", "它位于 `data` 之下"],
  unknownReason: ["unknown reason", "原因不明"],
  fileInData: [
    "the settings file lies in this folder, wanted one for the data alone",
    "配置文件在这个文件夹中，应为只存放数据的文件夹",
  ],
  folderInData: ["wanted a folder outside of `data`", "应为 `data` 之外的文件夹"],
  // secrets.ts
  masked: [
    "found {mask}, which only hides a secret; wanted the secret, env:NAME or file:PATH",
    "实际是 {mask}，它只用来隐藏密钥；应为密钥本身、env:NAME 或 file:PATH",
  ],
  envWithoutName: ["found env: without the name of a variable", "env: 之后没有变量名"],
  envNotSet: [
    "the environment variable {name} is not set; set it first: export {name}=…",
    "环境变量 {name} 没有设置，请先设置：export {name}=…",
  ],
  envEmpty: [
    "the environment variable {name} is empty; set it first: export {name}=…",
    "环境变量 {name} 是空的，请先设置：export {name}=…",
  ],
  fileWithoutPath: ["found file: without a path", "file: 之后没有路径"],
  secretIsPage: [
    "the file {path} has the name of a page, which everyone may read; give it another one",
    "文件 {path} 的名称是网页的名称，任何人都可以读取，请改名",
  ],
  secretEmpty: ["the file {path} is empty", "文件 {path} 是空的"],
  secretUnreadable: ["the file {path} cannot be read ({why})", "无法读取文件 {path}（{why}）"],
  // document.ts
  noAnchor: ["no anchor of this name precedes the alias", "这个引用（*）之前没有同名的锚点（&）"],
  repeatedKey: ["this key is repeated in the same mapping", "同一层中这一项重复了"],
  manyAliases: ["found too many aliases, wanted at most {max}", "引用（*）过多，应至多为 {max} 个"],
  notYaml: ["this is not valid YAML", "不是有效的 YAML"],
  // cross-checks.ts
  tokenMissing: [
    "is missing, adminHost {host} is not loopback, wanted one: add `adminToken: env:{variable}`, and run export {variable}=…",
    "缺少这一项，因为 adminHost {host} 不是回环地址：请加上 `adminToken: env:{variable}`，并运行 export {variable}=…",
  ],
  tokenShort: [
    "has {count} characters, adminHost {host} is not loopback, wanted at least {min}",
    "只有 {count} 个字符，而 adminHost {host} 不是回环地址，应至少为 {min} 个字符",
  ],
  samePort: ["found {port}, which is server.port, wanted another one", "实际是 {port}，与 server.port 相同，应换一个"],
  restPath: [
    "found {path}, which belongs to the REST API, wanted a path outside of /photos/",
    "实际是 {path}，属于 REST API，应为 /photos/ 之外的路径",
  ],
  manyKeys: ["found {count} key pairs, wanted at most {max}", "有 {count} 对密钥，应至多为 {max} 对"],
  noKeyEnabled: ["every key pair is disabled, wanted at least one enabled", "所有密钥都已停用，应至少启用一对"],
  usedBefore: ["{value} is used before, wanted another {key}", "{value} 前面已经用过，应换一个 {key}"],
  secondStar: ['a second "*", wanted one in the whole file', '第二个 "*"，整个文件只能有一个'],
  boundBefore: ["{host} is bound before, wanted it once", "域名 {host} 前面已经绑定，只能绑定一次"],
  othersDefault: ["{host} is the default domain of another bucket", "{host} 是另一个空间的默认域名"],
  othersDomain: [
    "{host} is a domain of another bucket, wanted one of this bucket",
    "{host} 是另一个空间的域名，应为这个空间的域名",
  ],
  noDomain: [
    'found "{host}", wanted a host under domains, or the bucket\'s default domain; only a bucket with "*" has others',
    '实际是 "{host}"，应为 domains 中的域名或空间的默认域名；只有绑定了 "*" 的空间才能用其他域名',
  ],
  // origin-checks.ts
  selfPort: [
    "{host}:{port} is this server itself, so fetches would loop; write the address and port of the origin",
    "{host}:{port} 就是本服务器，回源会形成循环；请填写源站的地址和端口",
  ],
  selfHost: [
    "{host} is a domain of this server, so fetches would loop; write the origin's own name or IP address, and add `host: {host}` if a site wants this name",
    "{host} 是本服务器的域名，回源会形成循环；请填写源站自己的域名或 IP 地址，如果网站需要这个域名，再加上 `host: {host}`",
  ],
  manyHeaders: ["found {count} headers, wanted at most {max}", "有 {count} 个请求头，应至多为 {max} 个"],
  headerAgain: ["this header is set before", "这个请求头前面已经设置"],
  missingBecause: ["is missing, wanted it because {key} is {state}", "缺少这一项，因为 {key} {state}"],
  twoAuthorizations: [
    "headers sets Authorization too, wanted one of them",
    "headers 也设置了 Authorization，二者只能有一个",
  ],
  noEndpoint: [
    "is missing, wanted the URL of the service because there is no preset",
    "缺少这一项，没有 preset 时应填写服务的 URL",
  ],
  presetNoEndpoint: [
    "is missing, wanted the URL of the service because the preset {preset} has none",
    "缺少这一项，`preset: {preset}` 没有默认的服务 URL，应填写",
  ],
  noRegion: [
    "is missing, wanted it or endpoint for the preset {preset}",
    "缺少这一项，`preset: {preset}` 需要它或 endpoint",
  ],
  // origin-checks.ts, of URLs and headers
  notHttp: ["wanted a URL that begins with http:// or https://", "应为以 http:// 或 https:// 开头的 URL"],
  urlSpace: ["the URL contains a space or a backslash", "URL 中有空格或反斜杠"],
  urlInvalid: ["the URL is not valid", "URL 无效"],
  urlUser: [
    "a user name or password does not belong in the URL, set basicAuth instead",
    "URL 中不能有用户名或密码，请改用 basicAuth",
  ],
  urlQuery: ["the URL has a query, wanted scheme, host and path only", "URL 中有查询参数，应只有协议、主机和路径"],
  urlFragment: ["the URL has a fragment, wanted scheme, host and path only", "URL 中有 # 片段，应只有协议、主机和路径"],
  urlPort: ["port {port} is never dialled, wanted another one", "不能连接端口 {port}，应换一个"],
  callbackFragment: ["the URL has a fragment, which is never sent", "URL 中有 # 片段，它不会被发送"],
  callbackUser: [
    "a user name or password does not belong in the URL, notices are signed with the secret",
    "URL 中不能有用户名或密码，通知会用 secret 签名",
  ],
  reserved: [
    "{host} is a reserved address (link-local, multicast, …), which is never dialled; write a public or a private one",
    "{host} 是保留地址（链路本地、组播等），不能连接；请填写公网或内网地址",
  ],
  private: [
    "{host} is a private address; if it is meant, add `allowPrivate: true` next to this key",
    "{host} 是内网地址；如果确实要用，请在同一层加上 `allowPrivate: true`",
  ],
  headerName: ["is not a valid header name", "不是有效的请求头名称"],
  headerHasKey: ['use the origin\'s key "{key}" for this header', '这个请求头请用源站的配置项 "{key}" 设置'],
  headerReserved: ["this header is set by the mirror itself", "这个请求头由镜像自己设置"],
  headerNeverPassed: ["this header of a client is never passed on", "客户端的这个请求头从不转发"],
  // rule-checks.ts
  notAKey: [
    "it is not a key: 1 to 1024 bytes without . and .. segments",
    "不是有效的对象名：1 到 1024 字节，不含 . 和 .. 路径段",
  ],
  totalShort: [
    "found {total}ms, wanted at least the {firstByte}ms of firstByte",
    "实际是 {total}ms，应至少为 firstByte 的 {firstByte}ms",
  ],
  storeProcesses: [
    "an s3 origin is a store and processes nothing, wanted local",
    "s3 源站只存储、不处理图片，应为：local",
  ],
  allStandby: ["every origin is standby, wanted at least one that is not", "所有源站都是备用，应至少有一个不是"],
  strip: [
    "not every key that matches begins with it, wanted match.prefix to begin with it",
    "匹配的对象名不一定以它开头，match.prefix 应以它开头",
  ],
  stripSuffix: [
    "not every key that matches ends with it, wanted match.suffix to end with it",
    "匹配的对象名不一定以它结尾，match.suffix 应以它结尾",
  ],
  fileBeside: ["it is the whole path, wanted nothing beside it", "它就是完整路径，不能再有其他项"],
  templateKey: ["wanted {key} in it exactly once", "其中应正好有一个 {key}"],
  templateBeside: ["it is the whole path, wanted no {keys} beside it", "它就是完整路径，不能再有 {keys}"],
  dotSegment: ["it has a . or .. segment", "其中有 . 或 .. 路径段"],
  manyParameters: ["found {count} parameters, wanted at most {max}", "有 {count} 个查询参数，应至多为 {max} 个"],
  redirectsHidden: [
    "clients cannot follow its redirects: the origin is private, or needs credentials or a name of its own",
    "客户端无法跟随它的跳转：源站是内网或私有的，或需要身份凭证或自己的域名",
  ],
  redirectToHidden: [
    "is missing, wanted a URL for clients: {action} would send clients to a private URL",
    "缺少这一项，应为客户端可用的 URL：否则 {action} 会让客户端跳转到内部 URL",
  ],
  // rule-checks.ts, of aliases and styles
  noSeparator: ["is empty, wanted a separator because there are aliases", "是空的，有样式别名时应有样式分隔符"],
  manyStyles: ["found {count} styles, wanted at most {max}", "有 {count} 个空间样式，应至多为 {max} 个"],
  separatorEra: [
    "{separator} needs grammarEra: qiniu, wanted any of {known}",
    "{separator} 需要 grammarEra: qiniu，应为以下几个：{known}",
  ],
  nameSeparator: [
    "the name contains the separator {separator}, wanted another name",
    "名称中有样式分隔符 {separator}，应换一个名称",
  ],
  nameTaken: ["an alias has this name, wanted another name", "样式下载别名中已有这个名称，应换一个名称"],
  instruction: ["{what}", "处理指令 {parameter} 无效"],
  // Warnings.
  openAdmin: [
    "server.adminHosts is set without server.adminToken: everyone who reaches the proxy before the admin port may delete and purge",
    "设置了 server.adminHosts，但没有 server.adminToken：能访问管理端口前的代理的任何人都可以删除和刷新",
  ],
  oneClient: [
    "limits.perClient is on and server.trustedProxies is empty: if clients come through a CDN or proxy, all of them count as one; list its addresses",
    "已启用 limits.perClient，但 server.trustedProxies 是空的：如果客户端经过 CDN 或代理，会被当作同一个客户端；请列出其地址",
  ],
  workers: [
    "server.workers has no effect and goes with the next version: run one node for each core, see docs/production/nodes.md",
    "server.workers 不起作用，下一版本将移除：请为每个核心运行一个节点，见 docs/zh/production/nodes.md",
  ],
  valkeyNeedsS3: [
    "found valkey with store type fs, wanted an S3 store, which all nodes share",
    "实际是 valkey 和类型为 fs 的存储，应为各节点共用的 S3 存储",
  ],
  noAlias: [
    "bucket {name} has processing: aliases, but no alias or style: only originals can be served",
    "空间 {name} 设置了 processing: aliases，但没有样式别名或空间样式：只能提供原图",
  ],
  exampleKey: [
    "project {appid}: {key} is the example's value: run `huiyuan keys new`",
    "项目 {appid}：{key} 是示例中的值，请运行 `huiyuan keys new`",
  ],
  shellVariable: [
    "project {appid}: {key} begins with $: write env:NAME for a variable",
    "项目 {appid}：{key} 以 $ 开头，变量应写成 env:NAME",
  ],
  // Kinds of values and their counts.
  nothing: ["nothing", "空值"],
  list: ["a list", "列表"],
  mapping: ["a mapping", "一组配置项"],
  text: ["text", "文本"],
  someText: ["some text", "不为空的文本"],
  wholeNumber: ["a whole number", "整数"],
  boolean: ["true or false", "true 或 false"],
  aNumber: ["a number", "数字"],
  aBoolean: ["a boolean", "true 或 false"],
  quotes: ["the {type} {value} (put it in quotes)", "{value}（请加上引号）"],
  anotherKind: ["another kind of value", "另一种值"],
  somethingElse: ["something else", "其他内容"],
  atLeast: ["at least {amount}", "至少 {amount}"],
  atMost: ["at most {amount}", "至多 {amount}"],
  oneEntry: ["1 entry", "1 项"],
  entries: ["{count} entries", "{count} 项"],
  characters: ["{count} characters", "{count} 个字符"],
  or: ["{list} or {last}", "{list} 或 {last}"],
} as const satisfies Record<string, readonly [en: string, zh: string]>;

/** Messages for the codes of the YAML parser, whose own may quote the text, which may be a secret. */
export const SYNTAX: Readonly<Record<string, Both>> = {
  BAD_ALIAS: both("an anchor or alias has no usable name", "锚点（&）或引用（*）没有可用的名称"),
  BAD_DQ_ESCAPE: both(
    "an escape in \"…\" is not valid; use '…' for text with backslashes",
    "\"…\" 中的转义无效；含反斜杠的文本请用 '…'",
  ),
  BAD_INDENT: both("the indentation does not fit the lines around it", "缩进与上下各行不一致"),
  BAD_SCALAR_START: both(
    "this character cannot begin a value; put the value in quotes",
    "值不能以这个字符开头，请给值加上引号",
  ),
  BLOCK_AS_IMPLICIT_KEY: both("a colon inside a value; put the value in quotes", "值中有冒号，请给值加上引号"),
  BLOCK_IN_FLOW: both("a block is not allowed inside {…} or […]", "{…} 或 […] 中不能分行缩进书写"),
  MISSING_CHAR: both(
    "a character is missing here: a colon after a key, a comma, or a closing quote or bracket",
    "此处缺少字符：名称后的冒号、逗号、后引号或后括号",
  ),
  MULTILINE_IMPLICIT_KEY: both("a colon is missing after this key", "这个名称之后缺少冒号"),
  MULTIPLE_DOCS: both("a second document begins here, wanted one", "此处开始了第二个 YAML 文档，只能有一个"),
  RESOURCE_EXHAUSTION: both("the nesting is too deep", "嵌套过深"),
  TAB_AS_INDENT: both("tabs cannot indent, use spaces", "不能用制表符缩进，请用空格"),
  TAG_RESOLVE_FAILED: both(
    "tags (!name) are not used in settings; put a value that begins with ! in quotes",
    "配置文件中不使用标签（!name）；以 ! 开头的值请加上引号",
  ),
};

export function both(en: string, zh: string): Both {
  return { en, zh };
}

type Names<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type FaultName = keyof typeof FAULTS;
type Value = string | number | bigint | Both;
type Values<Name extends FaultName> = Readonly<Record<Names<(typeof FAULTS)[Name][number]>, Value>>;

/** A message of the table with its values. */
export function say<Name extends FaultName>(
  name: Name,
  ...[values]: keyof Values<Name> extends never ? [] : [Values<Name>]
): Both {
  const filled = (text: string, language: Language) =>
    text.replace(/\{(\w+)\}/g, (_, part: string) => {
      const value = (values as Readonly<Record<string, Value>> | undefined)?.[part] ?? "";
      return typeof value === "object" ? value[language] : String(value);
    });
  const [en, zh] = FAULTS[name];
  return { en: filled(en, "en"), zh: filled(zh, "zh") };
}
