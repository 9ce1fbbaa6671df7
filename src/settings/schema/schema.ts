// The keys of huiyuan.yaml with their defaults, bounds, descriptions and types. The server, limits, mirrors, rules,
// origins and stores have files of their own beside it. Rules between two keys are in checks/.
import * as z from "zod";
import { DEFAULT_DATA } from "../address.ts";
import { crossFaults, MAX_KEYS } from "../checks/cross-checks.ts";
import { QINIU_SEPARATORS, SEPARATORS } from "../checks/rule-checks.ts";
import { both, say } from "../fault-words.ts";
import { coded, wanted } from "../faults.ts";
import { normalizeHost } from "../hosts.ts";
import { callbackSchema, storeSchema } from "./origin-schema.ts";
import { mirrorSchema } from "./rule-schema.ts";
import { coordinationSchema, limitsSchema, serverSchema } from "./server-schema.ts";
import { FILE, flag, headerValue, hostName, matching, oneOf, secret } from "./values.ts";

// buckets and domains

const domainSchema = z.strictObject({
  host: hostName('a host name, or "*" for any other host', '域名，或 "*" 表示其他所有域名', true).describe(
    'Host name that is served from this bucket; "*" answers every host that nothing else names.',
  ),
  mirror: mirrorSchema
    .optional()
    .describe("The mirror source of a miss; without it this domain never fetches from an origin."),
});

const refererDomain = z.string().transform((text, context) => {
  const prefix = text.startsWith("*.") ? "*." : "";
  const host = normalizeHost(text.slice(prefix.length));
  if (host === undefined) {
    const wants = both("a host name such as example.com or *.example.com", "域名，例如 example.com 或 *.example.com");
    context.addIssue({ code: "custom", message: coded(say("found", { found: `"${text}"`, wants })) });
  }
  return `${prefix}${host}`;
});

const referersSchema = z
  .strictObject({
    mode: oneOf("off", "allow", "deny").describe("off, allow (only these) or deny (all but these)."),
    domains: z.array(refererDomain).default([]).describe("Hosts, exact or as *.example.com."),
    allowEmpty: flag().optional().describe("Requests without a Referer; default false for allow, true for deny."),
  })
  .transform((referers) => ({ ...referers, allowEmpty: referers.allowEmpty ?? referers.mode !== "allow" }));

const styleName = matching(
  /^[^\s/?#%&=]{1,128}$/u,
  "a name of up to 128 characters without blanks and / ? # % & =",
  "最多 128 个字符的名称，不含空白和 / ? # % & =",
);

/** Processing instructions by their names. */
const instructions = () => z.record(styleName, z.string().min(1).max(4096)).default({});

const bucketSchema = z.strictObject({
  name: matching(
    /^(?=.{1,64}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/,
    "1 to 64 of a-z, 0-9 and - with no - at either end",
    "1 到 64 个 a-z、0-9 和 -，首尾不能是 -",
  ).describe("1 to 64 of a-z, 0-9 and -, no - at either end."),
  access: oneOf("upload-download", "download").describe("Operations that clients may use."),
  token: oneOf("off", "required").describe("required: downloads need ?sign= (Token 防盗链)."),
  oneTimeDownloads: oneOf("reuse", "once", "refuse").describe(
    "Whether a one-time token may download: any number of times, exactly once, or never.",
  ),
  referers: referersSchema.prefault({}).describe("Referer lists (域名防盗链)."),
  cacheControl: headerValue().default("public, max-age=86400").describe("Cache-Control of unsigned downloads."),
  signedCacheControl: oneOf("private", "shared").describe(
    "shared: a CDN that checks tokens itself may store signed downloads.",
  ),
  separators: z
    .array(z.enum([...SEPARATORS, ...QINIU_SEPARATORS]))
    .default(["!"])
    .describe(
      "Separators between a fileid and an alias: any of - _ / !, in the era qiniu also of ~@$^&*()+={}[]|:;\"'<>,",
    ),
  aliases: instructions().describe("Download aliases (样式下载别名): name → processing instruction."),
  grammarEra: z
    .literal([2015, "later", "qiniu"])
    .default(2015)
    .describe("Manual to follow where they differ: Tencent's of 2015 or the later one, or Qiniu's."),
  processing: oneOf("free", "aliases").describe(
    "aliases: instructions in the query are refused; aliases and originals are served.",
  ),
  originalProtection: flag().default(false).describe("true: only aliases are served (原图保护)."),
  publicDomain: matching(
    (text) => !/:\d*$/.test(text),
    "a host name without a port; the port is server.publicPort",
    "不带端口的域名；端口由 server.publicPort 决定",
  )
    .pipe(hostName("a host name, such as img.example.com", "域名，例如 img.example.com"))
    .optional()
    .describe('Host of download_url, file_url, callbacks and `huiyuan sign`; default: the first listed one but "*".'),
  cors: z
    .array(
      matching(
        /^(?:\*|https?:\/\/[^\s/]+)$/i,
        '"*" or an origin such as https://example.com',
        '"*" 或网站，例如 https://example.com',
      ),
    )
    .default(["*"])
    .describe("Origins that may read downloads from scripts."),
  styles: instructions().describe("Like aliases, and rendered right after an upload (空间样式)."),
  notFound: z
    .strictObject({
      file: z.string().min(1).meta(FILE).describe("Path of an HTML page or image, from this file's folder."),
    })
    .optional()
    .describe("Body of a 404."),
  callback: callbackSchema.optional().describe("Notifies your server of uploads (回调)."),
  domains: z.array(domainSchema).default([]).describe("Host names of this bucket beside its default domain."),
});

// projects

const keySchema = z.strictObject({
  secretId: matching(
    /^[\x21-\x25\x27-\x7e]{1,128}$/,
    "1 to 128 printable ASCII characters without blanks and &",
    "1 到 128 个可见 ASCII 字符，不含空白和 &",
  ).describe("SecretID: public, named in every token."),
  secretKey: secret("the SecretKey", "SecretKey", "SecretKey"),
  enabled: flag().default(true).describe("false: tokens of this key are refused."),
});

const projectSchema = z.strictObject({
  appid: z
    .string({
      error: wanted('a decimal number in quotes, such as "10001234"', '写在引号中的十进制数，例如 "10001234"'),
    })
    .regex(/^[0-9]{1,20}$/)
    .describe("Project id, decimal, in quotes."),
  enabled: flag().default(true).describe("false: everything is refused with -64."),
  acceptV1Signature: flag()
    .default(true)
    .describe("Takes tokens of the first generation, for the project's first bucket."),
  // With max() zod would stop here. cross-checks.ts counts them; the meta is for editors.
  keys: z
    .array(keySchema)
    .min(1)
    .meta({ maxItems: MAX_KEYS })
    .describe("One or two key pairs, at least one of them enabled."),
  buckets: z.array(bucketSchema).default([]).describe("The project's buckets."),
});

/** The whole file. Secrets and paths are still as written; load.ts resolves them. */
export const settingsSchema = z
  .strictObject({
    server: serverSchema.prefault({}).describe("Where the server listens and what it says."),
    data: z.string().min(1).meta(FILE).default(DEFAULT_DATA).describe("Folder of all stored data."),
    store: storeSchema.default({ type: "fs" }).describe("Where objects are kept."),
    coordination: coordinationSchema.default({ type: "local" }).describe("How several nodes agree."),
    limits: limitsSchema.prefault({}).describe("Every bound."),
    projects: z
      .array(projectSchema, { error: ({ input }) => (input === undefined ? coded(say("noProjects")) : undefined) })
      .min(1)
      .describe("Projects (项目) with their keys and buckets."),
  })
  // It also runs on faulty files, so that one run reports every fault.
  .superRefine(
    (settings, context) => {
      for (const { path, message } of crossFaults(settings)) {
        context.addIssue({ code: "custom", path: [...path], message: coded(message) });
      }
    },
    { when: () => true },
  );

/** Keys of the metadata. Editors warn of keys that JSON Schema does not have. */
const OWN_KEYS = ["secret", "file", "quantity"];

/**
 * JSON Schema (draft 2020-12) of the file for editors, with descriptions and defaults. It cannot express rules between
 * keys. `without`: keys to leave out.
 */
export function settingsJsonSchema(
  schema: z.ZodType = settingsSchema,
  without: readonly string[] = OWN_KEYS,
): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(schema, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      for (const key of without) delete jsonSchema[key];
    },
  });
}

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/** The whole file with all defaults: sizes in bytes, durations in milliseconds, secrets and paths resolved. */
export type Settings = DeepReadonly<z.output<typeof settingsSchema>>;
export type ServerSettings = Settings["server"];
export type ProjectSettings = Settings["projects"][number];
export type BucketSettings = ProjectSettings["buckets"][number];
export type DomainSettings = BucketSettings["domains"][number];
export type MirrorSettings = NonNullable<DomainSettings["mirror"]>;
export type RuleSettings = MirrorSettings["rules"][number];
export type OriginSettings = MirrorSettings["origins"][number];
/** `url` has no slash at its end. */
export type SiteOriginSettings = Extract<OriginSettings, { readonly type: "site" }>;
