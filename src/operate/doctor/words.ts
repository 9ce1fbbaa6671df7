// Words the doctor's findings in the reader's language. The server writes English; the Chinese is here, by
// the code of a finding, or by its check and severity.

import { language } from "../console/text/text.ts";
import type { DoctorLine } from "./contract.ts";

/** `more`: what it means; in Chinese the doctor's own words, if they have names or figures that are needed. */
export function findingText({ id, severity, code, found, means }: DoctorLine): {
  readonly title: string;
  readonly more: string | undefined;
} {
  const zh = findingsZh[`${id}.${code}`] ?? findingsZh[String(code)] ?? findingsZh[`${id}.${severity}`];
  if (language.value === "zh" && zh !== undefined) return { title: zh, more: WITH_FIGURES.has(id) ? found : undefined };
  return { title: found, more: FOR_COMMAND.has(code ?? id) ? undefined : means };
}

const WITH_FIGURES: ReadonlySet<string> = new Set(["redirects", "vary", "life", "speed"]);

/** Findings whose meaning names flags of the command. */
const FOR_COMMAND: ReadonlySet<string> = new Set(["origin_blocked", "sample"]);

const findingsZh: Readonly<Record<string, string>> = {
  // 失败的代码。
  origin_blocked: "这是内网地址，默认不连接。",
  origin_name_unknown: "域名不存在，请检查拼写。",
  origin_dns_failed: "连不上 DNS 服务器，请检查本机网络。",
  origin_dns_timeout: "DNS 服务器没有及时应答，请检查本机网络。",
  origin_refused: "连接被拒绝：没有服务在监听，或被防火墙拦截。",
  origin_timeout: "源站没有及时响应，客户端会得到 424。较慢的源站需要更长的超时时间。",
  origin_tls: "TLS 证书无效：域名不符、已过期，或签发机构不受信任。",
  plain_http: "这个端口不是 https，请把 URL 改为 http。",
  origin_reset: "源站没有应答就关闭了连接。",
  origin_head_invalid: "应答不是有效的 HTTP，客户端会得到 424。",
  origin_redirect: "不跟随这样的跳转，请把跳转目标设为源站。",
  origin_truncated: "图片不完整，不会存储。",
  origin_empty: "应答没有内容，不会存储。",
  origin_not_image: "返回的不是图片，常见的是状态码 200 的错误页面，不会存储。",
  origin_encoded: "无法解码应答的压缩格式，请关闭图片的压缩。",
  origin_too_large: "图片超过 limits.objectSize（默认 20MiB）。",
  origin_unexpected: "只有状态码 200 才是完整的图片。",
  origin_status: "源站返回错误。401 表示需要密码或密钥；403 表示拒绝访问，可能是防盗链、密钥或权限。",
  absent: "源站没有这张图片，请检查图片路径。",
  suspect: "图片可能已损坏，会提供给客户端，但不会存储。",
  // 检查与级别。
  "connection.good": "可以连接源站。",
  "connection.warning": "连接源站较慢，每次新建连接都需要这么久。",
  "tls.good": "TLS 证书有效。",
  "tls.note": "使用 http，没有加密，途中可能被查看或篡改。源站支持时请用 https。",
  "tls.warning": "TLS 证书即将过期，过期后回源都会失败。",
  "image.good": "图片完整。",
  "sample.problem": "没有一张示例图片是完整的。",
  "sample.warning": "首页上没有找到图片，请填写一张图片的路径，再检测一次。",
  "referer.warning": "源站有 Referer 防盗链，带上网站自己的 Referer 才返回图片。",
  "missing.good": "不存在的图片返回 404。",
  "missing.picture": "不存在的图片也返回一张图片，它会以任意文件名存储。源站必须返回 404。",
  "missing.page": "不存在的图片返回 200 和一个页面，客户端会得到 424。源站应返回 404。",
  "missing.forbidden": "不存在的图片返回 403。如果是云存储，请允许密钥列出空间。",
  "missing.warning": "不存在的图片没有返回 404，客户端会得到 424。",
  "names.good": "支持 UTF-8 文件名。",
  "names.note": "示例没有中文文件名，无法确认源站支持 UTF-8。",
  "names.problem": "文件名可能是 GBK 编码，请在源站改为 UTF-8。",
  "again.good": "重复请求得到相同的内容。",
  "again.warning": "重复请求得到不同的内容，只会存储第一次的。",
  "again.problem": "第二次请求失败，源站不稳定。",
  "keep-alive.good": "连接可以复用。",
  "keep-alive.note": "每次请求都要新建连接，请在源站开启 keep-alive。",
  "head.good": "HEAD 应答正确。",
  "head.warning": "HEAD 应答不正确，建议设置 headMiss: store。",
  "range.good": "支持断点请求（206）。",
  "range.note": "不支持断点请求，无需处理。",
  "if-none-match.good": "支持按 ETag 确认更新（304）。",
  "if-none-match.note": "不支持按 ETag 确认更新，每次确认都会传输整张图片。",
  "if-modified-since.good": "支持按修改时间确认更新（304）。",
  "if-modified-since.note": "不支持按修改时间确认更新，每次确认都会传输整张图片。",
  "compression.note": "图片会以压缩格式发送，无需处理。",
  "negotiation.warning": "源站按浏览器返回不同格式，只会存储其中一种。",
  "query.good": "URL 参数不影响图片，适合存储原图。",
  "query.warning": "URL 参数会改变图片，请勾选“网站按 URL 参数生成尺寸”。",
  "query.note": "带参数的请求没有得到图片。存储原图时，参数不会发送到源站。",
  "framing.good": "正文长度明确。",
  "framing.warning": "正文以断开连接结束，只能按图片结构判断是否完整，请让源站发送 Content-Length。",
  "types.note": "Content-Type 与图片不符，无需处理，会按内容识别。",
  "redirects.note": "有跳转，把最后的 URL 设为源站更快。",
  "cookies.warning": "图片带有 Set-Cookie，不要镜像因 Cookie 而不同的图片。",
  "vary.warning": "源站按请求头返回不同内容，只会存储其中一种。",
  "life.note": "源站的 Cache-Control 默认不起作用，存储的图片不会过期。",
  "validators.good": "有 ETag 或修改时间，可以确认更新。",
  "validators.note": "没有 ETag 和修改时间，每次确认都会传输整张图片。",
  "speed.good": "响应速度正常。",
  "speed.warning": "源站响应较慢，可能超时。",
  "bytes.warning": "示例图片太大，其余项目没有检测，请换一张小的。",
  "time.warning": "检测超时，其余项目没有检测。",
};
