import { expect, test } from "vitest";
import { faultsOf, MINIMAL, pathsOf, withBucket, withMirror, withOrigin } from "../parse.ts";

const KEY = "{ secretId: AKID, secretKey: SECRET }";
const bucket = "projects[0].buckets[0]";
const mirror = `${bucket}.domains[0].mirror`;
const origin = `${mirror}.origins[0]`;
const project = (appid: string, secretId: string, buckets: string) =>
  `  - { appid: "${appid}", keys: [{ secretId: ${secretId}, secretKey: x }], buckets: [${buckets}] }\n`;

test.each([
  [
    "three key pairs",
    MINIMAL.replace(KEY, `${KEY}, { secretId: B, secretKey: x }, { secretId: C, secretKey: x }`),
    "projects[0].keys",
  ],
  ["no key pair", MINIMAL.replace(KEY, ""), "projects[0].keys"],
  ["disabled keys only", MINIMAL.replace("SECRET }", "SECRET, enabled: false }"), "projects[0].keys"],
  ["an empty secretKey", MINIMAL.replace("SECRET", '""'), "projects[0].keys[0].secretKey"],
  ["a secretId of another project", MINIMAL + project("2", "AKID", ""), "projects[1].keys[0].secretId"],
  ["a duplicate appid", MINIMAL + project("10001234", "B", ""), "projects[1].appid"],
  ["an appid that is an object with toString", MINIMAL.replace('"10001234"', "{ toString: 2 }"), "projects[0].appid"],
  ["a host with a NUL", `server: { host: "a\\0" }\n${MINIMAL}`, "server.host"],
  ["an appid with letters", MINIMAL.replace('"10001234"', "a1"), "projects[0].appid"],
  [
    "a duplicate bucket",
    MINIMAL.replace("{ name: photos }", "{ name: photos }, { name: photos }"),
    "projects[0].buckets[1].name",
  ],
  ["an upper-case bucket", MINIMAL.replace("photos", "Photos"), `${bucket}.name`],
  ["a bucket that ends in -", MINIMAL.replace("photos", "photos-"), `${bucket}.name`],
  ["a bucket of 65", MINIMAL.replace("photos", "p".repeat(65)), `${bucket}.name`],
  [
    "an open admin port with a short token",
    `server: { adminHost: "::", adminToken: 0123456789abcde }\n${MINIMAL}`,
    "server.adminToken",
  ],
  ["an open admin port without a token", `server: { adminHost: 0.0.0.0 }\n${MINIMAL}`, "server.adminToken"],
  ["one port for both listeners", `server: { port: 8081 }\n${MINIMAL}`, "server.adminPort"],
  ...["ready", "/a?b", "/a%62", "/a b", "/../a", "/a/.", "/photos/v2/health"].map((path): [string, string, string] => [
    `the health path ${path}`,
    `server: { healthPath: "${path}" }\n${MINIMAL}`,
    "server.healthPath",
  ]),
  ["a drain delay of more than an hour", `server: { drainDelay: 61m }\n${MINIMAL}`, "server.drainDelay"],
  [
    "a URL for a name of the admin port",
    `server: { adminHosts: ["https://a.example"] }\n${MINIMAL}`,
    "server.adminHosts[0]",
  ],
  ["a separator of Qiniu in another era", withBucket('separators: ["@"]'), `${bucket}.separators`],
  ["an unknown separator", withBucket('separators: ["."]'), `${bucket}.separators[0]`],
  [
    "an alias with a separator",
    withBucket('separators: ["-", "!"], aliases: { a-b: imageView2/1 }'),
    `${bucket}.aliases.a-b`,
  ],
  ["an alias that cannot be parsed", withBucket("aliases: { a: imageView2/9 }"), `${bucket}.aliases.a`],
  ["a style that cannot be parsed", withBucket("styles: { a: imageView2/2/w/x }"), `${bucket}.styles.a`],
  ["an alias without an operation", withBucket("aliases: { a: small }"), `${bucket}.aliases.a`],
  ["an alias that the older manual refuses", withBucket("aliases: { a: imageMogr2/crop/5x5 }"), `${bucket}.aliases.a`],
  ["a style with a separator", withBucket("styles: { a!b: imageView2/1 }"), `${bucket}.styles["a!b"]`],
  [
    "a style and an alias of the same name",
    withBucket("aliases: { a: imageView2/1 }, styles: { a: imageView2/2 }"),
    `${bucket}.styles.a`,
  ],
  ["styles without separators", withBucket("separators: [], styles: { a: imageView2/1 }"), `${bucket}.separators`],
  [
    "a hundred and one styles",
    withBucket(`styles: { ${Array.from({ length: 101 }, (_, n) => `s${n}: imageView2/1`).join(", ")} }`),
    `${bucket}.styles`,
  ],
  ["aliases without separators", withBucket("separators: [], aliases: { a: imageView2/1 }"), `${bucket}.separators`],
  ["a cacheControl with a line break", withBucket('cacheControl: "a\\nb"'), `${bucket}.cacheControl`],
  ["a missing 404 file", withBucket("notFound: { file: nope.png }"), `${bucket}.notFound.file`],
  [
    "a duplicate host",
    withBucket("domains: [{ host: a.example }, { host: A.EXAMPLE.:80 }]"),
    `${bucket}.domains[1].host`,
  ],
  ["a host with a blank", withBucket('domains: [{ host: "a b" }]'), `${bucket}.domains[0].host`],
  ["a domain without a host", withBucket("domains: [{}]"), `${bucket}.domains[0].host`],
  ["a wildcard host", withBucket('domains: [{ host: "*.example.com" }]'), `${bucket}.domains[0].host`],
  ["a referer domain with a blank", withBucket('referers: { domains: ["a b"] }'), `${bucket}.referers.domains[0]`],
  ["a second *", withBucket('domains: [{ host: "*" }, { host: "*" }]'), `${bucket}.domains[1].host`],
  [
    "another bucket's default domain",
    MINIMAL + project("2", "B", "{ name: b, domains: [{ host: Photos-10001234.localhost }] }"),
    "projects[1].buckets[0].domains[0].host",
  ],
  ["an empty publicDomain", withBucket('publicDomain: ""'), `${bucket}.publicDomain`],
  ["a publicDomain that is a URL", withBucket('publicDomain: "https://a.example"'), `${bucket}.publicDomain`],
  [
    "a publicDomain with a port",
    withBucket('publicDomain: "a.example:8443", domains: [{ host: a.example }]'),
    `${bucket}.publicDomain`,
  ],
  ["a publicDomain that is not listed", withBucket("publicDomain: a.example"), `${bucket}.publicDomain`],
  ["a publicDomain of *", withBucket('publicDomain: "*", domains: [{ host: "*" }]'), `${bucket}.publicDomain`],
  [
    "a publicDomain that another bucket lists",
    withBucket('publicDomain: b.example, domains: [{ host: "*" }] }, { name: b, domains: [{ host: b.example }]'),
    `${bucket}.publicDomain`,
  ],
  [
    "a publicDomain that is another bucket's default domain",
    withBucket('publicDomain: b-10001234.localhost, domains: [{ host: "*" }] }, { name: b'),
    `${bucket}.publicDomain`,
  ],
  [
    "a publicDomain that only another bucket's * covers",
    withBucket('publicDomain: a.example }, { name: b, domains: [{ host: "*" }]'),
    `${bucket}.publicDomain`,
  ],
  ["a publicPort of 0", `server: { publicPort: 0 }\n${MINIMAL}`, "server.publicPort"],
  ["a publicScheme of another kind", `server: { publicScheme: ftp }\n${MINIMAL}`, "server.publicScheme"],
  ["no origin", withBucket("domains: [{ host: a.example, mirror: { origins: [] } }]"), `${mirror}.origins`],
  ["total below firstByte", withMirror("timeouts: { total: 9s }"), `${mirror}.timeouts.total`],
  ["a timeout of 0", withMirror("timeouts: { idle: 0s }"), `${mirror}.timeouts.idle`],
])("%s is a fault", (_, text, path) => {
  expect(pathsOf(text)).toEqual([path]);
});

test.each([
  ["two key pairs, one disabled", MINIMAL.replace(KEY, `${KEY}, { secretId: B, secretKey: x, enabled: false }`)],
  ["a bucket of 64", MINIMAL.replace("photos", "p".repeat(64))],
  ["the same bucket name in two projects", MINIMAL + project("2", "B", "{ name: photos }")],
  ["a bucket's own default domain", withBucket("domains: [{ host: photos-10001234.localhost }]")],
  [
    "a publicDomain of its own",
    withBucket("publicDomain: B.example, domains: [{ host: a.example }, { host: b.example }]"),
  ],
  ["a publicDomain that is its default domain", withBucket("publicDomain: photos-10001234.localhost")],
  ["a publicDomain that its * covers", withBucket('publicDomain: a.example, domains: [{ host: "*" }]')],
  ["a public address behind TLS", `server: { publicScheme: https, publicPort: 8443 }\n${MINIMAL}`],
  ["an open admin port with a token", `server: { adminHost: "::", adminToken: 0123456789abcdef }\n${MINIMAL}`],
  ["a short token for loopback", `server: { adminToken: t }\n${MINIMAL}`],
  ["ports that the system chooses", `server: { port: 0, adminPort: 0 }\n${MINIMAL}`],
  ["an alias that the newer manual allows", withBucket("grammarEra: later, aliases: { a: imageMogr2/crop/5x5 }")],
  ["protected originals, and styles", withBucket("originalProtection: true, styles: { a: imageView2/1 }")],
  ["an alias with a separator that is not enabled", withBucket("aliases: { a-b: imageView2/1 }")],
  ["total equal to firstByte", withMirror("timeouts: { total: 10s }")],
  ["negativeTtl off", withMirror("negativeTtl: 0s")],
])("%s is accepted", (_, text) => {
  expect(pathsOf(text)).toEqual([]);
});

test.each([
  "ftp://h",
  "h",
  "https://",
  "https:///x",
  "https://h?a=1",
  "https://h/?",
  "https://h#a",
  "https://user@h",
  "https://@h",
  "https://user:pass@h",
  "https://h\\\\x",
  "https://h /x",
  "https://h:22",
  "http://h:6379/x",
  "http://h:0",
  "http://127.0.0.1",
  "http://0x7f.1",
  "http://2130706433",
  "http://localhost:9000",
  "http://[::ffff:7f00:1]",
  "http://169.254.169.254/latest",
  "https://img.example.com",
  "https://IMG.example.com.:8443/x",
])("the origin url %s is a fault", (url) => {
  expect(pathsOf(withOrigin(`url: "${url}"`))).toEqual([`${origin}.url`]);
});

test.each(["https://h", "http://h:8080/base/", "https://h/a@b", "https://8.8.8.8", "https://图片.example"])(
  "the origin url %s is accepted",
  (url) => {
    expect(pathsOf(withOrigin(`url: "${url}"`))).toEqual([]);
  },
);

test("allowPrivate accepts private addresses, but never a port of this server", () => {
  expect(pathsOf(withOrigin('url: "http://localhost:9000", allowPrivate: true'))).toEqual([]);
  expect(pathsOf(withOrigin('url: "http://127.0.0.1:9000", allowPrivate: true'))).toEqual([]);
  expect(pathsOf(withOrigin('url: "http://localhost:8080", allowPrivate: true'))).toEqual([`${origin}.url`]);
  expect(pathsOf(withOrigin('url: "http://photos-10001234.localhost:8080", allowPrivate: true'))).toEqual([
    `${origin}.url`,
  ]);
});

test.each([
  "0.0.0.0",
  "169.254.169.254",
  "100.100.100.200",
  "192.0.0.192",
  "224.0.0.1",
  "[fe80::1]",
  "[fd00:ec2::254]",
  "[::ffff:169.254.169.254]",
])("allowPrivate does not accept %s, and is not suggested", (host) => {
  for (const allowed of ["", ", allowPrivate: true"]) {
    const faults = faultsOf(withOrigin(`url: "http://${host}:9000"${allowed}`));
    expect(faults.map(({ path }) => path)).toEqual([`${origin}.url`]);
    expect(faults[0]?.message).toContain("is never dialled");
  }
});

test("an origin below this server's baseDomain is a fault", () => {
  const text = `server: { baseDomain: image.example.net }\n${withOrigin('url: "https://photos-10001234.image.example.net"')}`;
  expect(pathsOf(text)).toEqual([`${origin}.url`]);
});

test.each([
  "Range",
  "If-None-Match",
  "if-range",
  "Content-Length",
  "Host",
  "Referer",
  "Connection",
  "Keep-Alive",
  "Proxy-Authorization",
  "TE",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
  "Accept-Encoding",
  "Via",
  "CDN-Loop",
])("the origin header %s is a fault", (name) => {
  expect(pathsOf(withOrigin(`url: "https://h", headers: { ${name}: x }`))).toEqual([`${origin}.headers.${name}`]);
});

test.each([
  ["a name with a blank", '"a b": x', `${origin}.headers["a b"]`],
  ["a value with a line break", 'X-A: "a\\r\\nX-B: b"', `${origin}.headers.X-A`],
  ["the same name twice", "X-A: a, x-a: b", `${origin}.headers.x-a`],
  ["eleven headers", Array.from({ length: 11 }, (_, index) => `X-${index}: a`).join(", "), `${origin}.headers`],
])("origin headers with %s are a fault", (_, headers, path) => {
  expect(pathsOf(withOrigin(`url: "https://h", headers: { ${headers} }`))).toEqual([path]);
});

test("ten origin headers are accepted, including Cookie and Authorization", () => {
  const more = Array.from({ length: 8 }, (_, index) => `X-${index}: a`).join(", ");
  expect(pathsOf(withOrigin(`url: "https://h", headers: { Cookie: a=b, Authorization: Basic x, ${more} }`))).toEqual(
    [],
  );
});
