// The keys under `server`, `limits` and `coordination` with their defaults, bounds and descriptions.
import ipaddr from "ipaddr.js";
import * as z from "zod";
import { DEFAULT_ADDRESS } from "../address.ts";
import { wanted } from "../faults.ts";
import { duration, size } from "./quantities.ts";
import { count, FILE, hostName, matching, SECRET, secret } from "./values.ts";

const port = () =>
  z
    .int({ error: wanted("a port from 0 to 65535", "0 到 65535 的端口") })
    .min(0)
    .max(65_535);

const isAddressOrRange = (text: string) => ipaddr.isValid(text) || ipaddr.isValidCIDR(text);

const listenHost = () => matching(/^[!-~]+$/, "an address or a host name", "地址或主机名");

export const serverSchema = z.strictObject({
  host: listenHost().default("0.0.0.0").describe("Address that downloads and the REST API listen on."),
  port: port().default(8080).describe("Port of downloads and the REST API; 0 takes any free one."),
  adminHost: listenHost().default(DEFAULT_ADDRESS.adminHost).describe("Address of the admin API, metrics and health."),
  adminPort: port()
    .default(DEFAULT_ADDRESS.adminPort)
    .describe("Port of the admin API, metrics and health; 0 takes any free one."),
  adminToken: matching(/^[\x21-\x7e]+$/, "printable ASCII without blanks", "可见 ASCII 字符，不含空白")
    .meta(SECRET)
    .optional()
    .describe(
      "Bearer token of the admin API (env:NAME or file:PATH); required, with 16 characters or more, unless adminHost is loopback.",
    ),
  adminHosts: z
    .array(hostName("a host name or address, such as admin.example.com", "域名或地址，例如 admin.example.com"))
    .prefault([])
    .describe(
      "Further host names of the admin port, such as a proxy's, if adminHost is loopback; any other adminHost accepts every name.",
    ),
  migrationFolders: z
    .array(matching(/^\//, "an absolute path, such as /srv/photos", "绝对路径，例如 /srv/photos").meta(FILE))
    .default([])
    .describe(
      "Folders of this machine that migrations of the admin API may read, with all below them; none by default.",
    ),
  baseDomain: hostName("a host name, such as image.example.com", "域名，例如 image.example.com")
    .prefault("localhost")
    .describe("Every bucket's default domain is <bucket>-<appid>.<baseDomain>."),
  publicScheme: z
    .enum(["http", "https"])
    .optional()
    .describe("Scheme of download_url, file_url, callbacks and `huiyuan sign`, such as https behind a TLS terminator."),
  publicPort: z
    .union([z.literal("auto"), z.int().min(1).max(65_535)], {
      error: wanted("a port from 1 to 65535, or auto", "1 到 65535 的端口，或 auto"),
    })
    .default("auto")
    .describe(
      "Port of download_url, file_url, callbacks and `huiyuan sign`; auto: publicScheme's own if set, else server.port.",
    ),
  healthPath: matching(
    /^(?:(?!.*\/\.{1,2}(?:\/|$))\/[A-Za-z0-9\-._~!$&'()*+,;=:@/]{0,254})?$/,
    'a path such as /.well-known/huiyuan, of at most 255 characters, without % ? # and without a . or .. segment, or "" for none',
    '路径，例如 /.well-known/huiyuan，最多 255 个字符，不含 % ? # 以及 . 和 .. 路径段；"" 表示不用',
  )
    .default("/.well-known/huiyuan")
    .describe('Path on the download port, of any host, that says 200 if ready, else 503; "" is off.'),
  drainDelay: duration({ max: "1h" })
    .prefault("0s")
    .describe("How long the download port serves on after SIGTERM, while healthPath says 503; at most 1h."),
  trustedProxies: z
    .array(matching(isAddressOrRange, "an IP address or a range such as 10.0.0.0/8", "IP 地址或网段，例如 10.0.0.0/8"))
    .default([])
    .describe("Addresses or ranges whose X-Forwarded-For is believed, and on the admin port X-Forwarded-Proto."),
  accessLog: z
    .enum(["off", "misses", "all"])
    .default("misses")
    .describe("off, misses (all but plain hits) or all; sign is removed from the lines."),
  workers: z
    .union([z.literal("auto"), count(1, 256)])
    .optional()
    .describe("No effect, and goes with the next version: several cores are several nodes."),
});

const rate = (what: string) =>
  z.number().min(0).max(1_000_000).default(0).describe(`${what} of one client a second; 0 is off.`);

const perClientSchema = z.strictObject({
  requestsPerSecond: rate("Requests, downloads and calls of the REST API,"),
  rendersPerSecond: rate("Renders that are started by downloads"),
  burst: z
    .number()
    .min(0)
    .max(3_600)
    .default(2)
    .describe("Seconds of a rate that a client may use at once, at least one request or render."),
});

export const limitsSchema = z.strictObject({
  memory: size({ min: "1MiB" }).prefault("256MB").describe("Memory cache of small images; at least 1MiB."),
  disk: size({ min: "1MiB" })
    .prefault("20GB")
    .describe("Disk cache (variants, copies of remote objects); at least 1MiB."),
  objectSize: size({ min: "1KiB", max: "1GiB" })
    .prefault("20MiB")
    .describe("Largest object that is fetched, uploaded or stored; 1KiB to 1GiB."),
  imagePixels: count(1, 10 ** 12)
    .default(100_000_000)
    .describe("Largest image that is processed: width × height × frames."),
  imageFrames: count(1, 100_000).default(300).describe("Most frames of an image that is processed."),
  renderTime: duration({ min: "100ms", max: "10m" })
    .prefault("5s")
    .describe("Deadline of one render once its process is ready; then 500 with X-ErrNo -901; 100ms to 10m."),
  fills: count(1, 65_536).default(256).describe("Concurrent fetches from origins."),
  spoolMemory: size()
    .prefault("64MiB")
    .describe("Memory of all arriving bodies, at most 256KiB each; the rest goes to disk; 0 is disk only."),
  hotObjectSize: size().prefault("2MiB").describe("Larger objects are not kept in memory."),
  freeDisk: size().prefault("2GB").describe("Below this free space nothing more is stored; serving goes on."),
  renders: z
    .union([count(1, 1024), z.literal("auto")], { error: wanted("a whole number or auto", "整数或 auto") })
    .default("auto")
    .describe("Concurrent renders; auto fits the machine."),
  perClient: perClientSchema
    .prefault({})
    .describe("Rates of one client, an IPv4 address or an IPv6 /64; beyond them 429, -29214, with Retry-After."),
});

export const coordinationSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("local").describe("One server, nothing to coordinate.") }),
  z.strictObject({
    type: z.literal("valkey").describe("Several servers on one S3 store. Each tells the others of its changes."),
    url: secret(
      "the URL of a Valkey, such as redis://:password@10.0.0.5:6379/0",
      "Valkey 的 URL，例如 redis://:password@10.0.0.5:6379/0",
      "URL of the Valkey",
    ).describe("URL of the Valkey (env:NAME or file:PATH): redis://, or rediss:// for TLS."),
    prefix: matching(
      /^[\x21-\x7e]{1,64}$/,
      "1 to 64 printable ASCII characters without blanks",
      "1 到 64 个可见 ASCII 字符，不含空白",
    )
      .default("huiyuan:")
      .describe("Prefix of all keys in the Valkey; the same on every node."),
    name: matching(
      /^[A-Za-z0-9._-]{1,64}$/,
      "1 to 64 of A-Z, a-z, 0-9, . _ and -",
      "1 到 64 个 A-Z、a-z、0-9、. _ 和 -",
    )
      .optional()
      .describe("Name of this node, unique; default: made of the host name and the data folder."),
  }),
]);
