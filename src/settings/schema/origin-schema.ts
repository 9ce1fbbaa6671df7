// Schema of what this server connects to: origins (源站), which are web sites, Qiniu or S3-compatible stores, the store,
// and callbacks. Rules between keys are in checks/origin-checks.ts.
import * as z from "zod";
import { S3_PRESET_NAMES } from "../../core/s3-place.ts";
import { callbackUrlFault } from "../checks/origin-checks.ts";
import { coded, wanted } from "../faults.ts";
import { normalizeHost } from "../hosts.ts";
import { duration } from "./quantities.ts";
import { baseUrl, count, flag, matching, oneOf, optionalHeader, secret, secretHeaders } from "./values.ts";

/** Keys that every type of origin has. */
const common = {
  allowPrivate: flag()
    .default(false)
    .describe("Allows a private or loopback address for this host and port, and redirects within it."),
  connections: count(1, 4096).default(64).describe("Concurrent connections to this origin."),
  requestsPerSecond: count(0, 100_000).default(0).describe("Largest number of requests a second; 0 is no limit."),
  standby: flag().default(false).describe("true: used only after the other origins have failed as failoverOn says."),
  weight: count(0, 1000)
    .default(0)
    .describe("Share of the fetches among origins with a weight; 0 keeps the position in the list."),
};

const siteOriginSchema = z.strictObject({
  type: z.literal("site").describe("An ordinary web site."),
  url: baseUrl().describe(
    "Base URL, http or https; a slash and the object's key are appended. No query, no user name.",
  ),
  host: matching((text) => text === "" || normalizeHost(text) !== undefined, "a host name, or nothing", "域名，或留空")
    .default("")
    .describe("Host header to send; empty for the host of the URL."),
  referer: optionalHeader().describe("Referer header to send; empty for none."),
  headers: secretHeaders().describe(
    "Up to 10 more request headers, such as Authorization or Cookie; values may be env:NAME or file:PATH.",
  ),
  basicAuth: z
    .strictObject({
      username: matching(/^[^:\p{Cc}]*$/u, "a name without a colon", "不含冒号的名称").describe("User name."),
      password: secret("the password", "密码", "Password"),
    })
    .optional()
    .describe("User name and password of HTTP Basic authentication."),
  ...common,
});

const qiniuOriginSchema = z.strictObject({
  type: z.literal("qiniu").describe("A bucket of Qiniu (七牛), read through one of its download domains."),
  domain: baseUrl().describe("Download domain as a URL, such as http://x.clouddn.com."),
  private: flag().default(false).describe("true: the bucket is private, downloads are signed with the two keys."),
  accessKey: z.string().min(1).optional().describe("AccessKey of a private bucket."),
  secretKey: secret("the SecretKey", "SecretKey", "SecretKey of a private bucket").optional(),
  referer: optionalHeader().describe("Referer header to send; empty for none."),
  ...common,
});

/** Address of a bucket in an S3-compatible store; for origins and for the store. */
const s3Place = {
  preset: z
    .enum(S3_PRESET_NAMES)
    .optional()
    .describe("Vendor, which sets defaults for the keys below: aws, oss, cos, obs, kodo, upyun, b2, minio or ceph."),
  endpoint: z
    .union([z.literal(""), baseUrl()], {
      error: wanted("a URL such as https://s3.example.com, or nothing", "URL，例如 https://s3.example.com，或留空"),
    })
    .default("")
    .describe("URL of the service, without the bucket; empty to derive it from preset and region."),
  region: z.string().max(64).default("").describe("Region, such as cn-hangzhou; empty for the preset's default."),
  bucket: matching(
    /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/,
    "the name of a bucket: 2 to 255 letters, digits, dots, - and _, the first a letter or a digit",
    "空间名：2 到 255 个字母、数字、点、- 和 _，以字母或数字开头",
  ).describe("Name of the bucket at the vendor."),
  pathStyle: flag().optional().describe("true: puts the bucket into the path, not the host; default: the preset's."),
  prefix: z
    .string()
    .max(512)
    .regex(/^[^/\p{Cc}][^\p{Cc}]*$|^$/u, {
      error: wanted("a beginning of keys that does not start with a slash", "对象名的前缀，不以斜杠开头"),
    })
    .default("")
    .describe("Prefix of every key, such as images/."),
};

const secretAccessKey = secret("the secret access key", "访问密钥", "Secret access key");

const s3OriginSchema = z.strictObject({
  type: z.literal("s3").describe("A bucket of any S3-compatible store."),
  ...s3Place,
  accessKeyId: z.string().min(1).optional().describe("Access key; leave both out for a public bucket."),
  secretAccessKey: secretAccessKey.optional(),
  ...common,
});

export const originSchema = z.discriminatedUnion("type", [siteOriginSchema, qiniuOriginSchema, s3OriginSchema]);

/** The store of objects. */
export const storeSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("fs").describe("A folder below `data`.") }),
  z.strictObject({
    type: z.literal("s3").describe("A bucket of any S3-compatible store, with memory and disk in front of it."),
    ...s3Place,
    accessKeyId: z.string().min(1).describe("Access key."),
    secretAccessKey,
    allowPrivate: flag().default(false).describe("Allows a private or loopback address for the endpoint."),
    connections: count(1, 4096).default(64).describe("Concurrent connections to the store."),
  }),
]);

/** A bucket's `callback`: the server that is notified of uploads. */
export const callbackSchema = z.strictObject({
  url: z
    .string()
    .superRefine((text, context) => {
      const fault = callbackUrlFault(text);
      if (fault !== undefined) context.addIssue({ code: "custom", message: coded(fault) });
    })
    .describe("http:// or https:// URL of your server that is notified of each upload; a query is allowed."),
  secret: secret(
    "the secret that notices are signed with",
    "通知的签名密钥",
    "Secret that signs the notices, so that your server can verify them",
  ),
  timeout: duration({ min: "100ms", max: "10s" })
    .prefault("3s")
    .describe("How long an upload waits for your server's answer; 100ms to 10s. Clients give up after about 5s."),
  onFailure: oneOf("report", "accept").describe(
    "Answer to the uploader if the callback fails: report (-5979, the file stays) or accept (0).",
  ),
  allowPrivate: flag().default(false).describe("true: this URL may have a private address."),
});
