// Compares `explain` with the download port, URL by URL: the response, the origin requests and the stored objects are
// those that `explain` predicted. `explain` itself changes nothing.
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  response,
  type ScriptedOrigin,
  type ScriptedRequest,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";

const APPID = "10001234";
const KEYS = { secretId: "AKIDEXPLAIN", secretKey: "explain-0123456789abcdefghij" };
const OFF = { ...KEYS, secretId: "AKIDOFF" };

interface Explained {
  readonly domain?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly token?: { readonly verdict: string; readonly isSpent?: boolean };
  readonly rule?: { readonly index?: number };
  readonly recipe?: string;
  readonly stored?: { readonly state: string };
  readonly origin: readonly {
    readonly why: string;
    readonly key: string;
    readonly isStored: boolean;
    readonly refusal?: { readonly code: string };
    readonly requests: readonly {
      readonly method: string;
      readonly url: string;
      readonly headers: readonly (readonly [string, string])[];
    }[];
  }[];
  readonly answer: {
    readonly from: string;
    readonly status?: number;
    readonly errNo?: number;
    readonly code?: string;
    readonly location?: string;
    readonly cacheStatus?: string;
  };
}

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(40, 30);
  origin = await startScriptedOrigin(async ({ target, method }, connection) => {
    const path = target.split("?", 1)[0] ?? "";
    if (path.includes("missing")) return connection.send(response("", { status: "404 Not Found" }));
    if (path.includes("broken")) return connection.send(response("", { status: "500 Oops" }));
    if (path.includes("moved")) {
      const headers = { Location: "https://elsewhere.example/x.jpg" };
      return connection.send(response("", { status: "302 Found", headers }));
    }
    const whole = response(jpeg);
    await connection.send(method === "HEAD" ? whole.subarray(0, whole.length - jpeg.length) : whole);
  });
  const server = { adminPort: await freePort(), adminToken: "s3cret" };
  installation = await install({ ...settingsFor(origin.url), server });
  program = await installation.start();
});
afterAll(async () => {
  await program.kill();
  await installation.remove();
  await origin.close();
});

function settingsFor(url: string): { readonly projects: readonly object[] } {
  const site = { type: "site", url, allowPrivate: true };
  // An open breaker would make the order of the rows matter.
  const breaker = { failures: 10_000 };
  const mirror = { origins: [site], breaker };
  const bucket = (name: string, domains: readonly object[], more: object = {}) => ({ name, domains, ...more });
  const base = `${url}/base`;
  const secrets = {
    headers: { "X-Api-Key": "t0p-s3cret", "X-Open": "1" },
    referer: "http://r.example/",
    host: "h.example",
  };
  const rules = [
    { match: { prefix: "none/" }, action: "mirror", path: { strip: "none/", add: "some/" } },
    { match: { prefix: "go/" }, action: "redirect", redirectTo: "https://pub.example", redirectStatus: 307 },
    { match: { prefix: "async/" }, action: "async", redirectTo: "https://pub.example" },
    { match: { prefix: "pass/" }, passQuery: true },
    { match: { prefix: "kept/" }, keyQuery: ["v", "size"] },
    {
      match: { prefix: "headers/" },
      passHeaders: { allow: ["x-trace", "x-other"], set: { "X-Set": "s3t-s3cret", "X-Other": "ours" } },
      setQuery: { key: "qu3ry-s3cret", plain: "1" },
    },
    { match: { prefix: "fall/" }, fallbackKey: "fallback.jpg", fallbackStatus: 200 },
    { match: { prefix: "tpl/" }, path: { strip: "tpl/", template: "q?name={key}&x=1" } },
    { match: { suffix: ".file" }, path: { file: "fixed.jpg" } },
    { match: { methods: ["HEAD"], prefix: "head/" }, headMiss: "store" },
    { match: { prefix: "processed/" }, processedMiss: "origin" },
    {
      match: { prefix: "two/" },
      origins: [
        { ...site, url: base },
        { ...site, standby: true },
      ],
    },
  ];
  const qiniu = {
    type: "qiniu",
    domain: url,
    private: true,
    accessKey: "AK",
    secretKey: "q1niu-s3cret",
    allowPrivate: true,
  };
  const s3 = {
    ...{ type: "s3", endpoint: url, region: "r", bucket: "pics", pathStyle: true, allowPrivate: true },
    ...{ accessKeyId: "AKS3", secretAccessKey: "s3-s3cret" },
  };
  const signed = (name: string, more: object = {}) =>
    bucket(name, [{ host: `${name}.example`, mirror }], { token: "required", ...more });
  const projects = [
    {
      appid: APPID,
      keys: [KEYS],
      buckets: [
        bucket(
          "open",
          [{ host: "open.example", mirror: { ...mirror, rules } }, { host: "bare.example" }, { host: "*", mirror }],
          {
            aliases: { small: "imageView2/2/w/9" },
          },
        ),
        bucket("every", [{ host: "every.example", mirror: { ...mirror, type: "everything" } }]),
        bucket("secret", [{ host: "secret.example", mirror: { ...mirror, origins: [{ ...site, ...secrets }] } }]),
        bucket("qiniu", [{ host: "qiniu.example", mirror: { ...mirror, origins: [qiniu] } }]),
        bucket("s3", [{ host: "s3.example", mirror: { ...mirror, origins: [s3] } }]),
        bucket("aging", [{ host: "aging.example", mirror: { ...mirror, freshness: { mode: "ttl", ttl: "1s" } } }]),
        signed("signed"),
        signed("once", { oneTimeDownloads: "once" }),
        signed("never", { oneTimeDownloads: "refuse" }),
        signed("listed", { referers: { mode: "allow", domains: ["good.example"], allowEmpty: true } }),
        bucket("denied", [{ host: "denied.example", mirror }], {
          referers: { mode: "deny", domains: ["bad.example"] },
        }),
      ],
    },
    { appid: "10009999", enabled: false, keys: [OFF], buckets: [bucket("off", [{ host: "off.example", mirror }])] },
  ];
  return { projects };
}

interface ExplainRequest {
  readonly host?: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function explain({
  host = "open.example",
  path,
  method = "GET",
  headers = {},
}: ExplainRequest): Promise<Explained> {
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1/explain`, {
    method: "POST",
    headers: { authorization: "Bearer s3cret", "content-type": "application/json" },
    body: JSON.stringify({ url: `http://${host}${path}`, method, headers }),
  });
  const text = await answer.text();
  expect([answer.status, text]).toEqual([200, expect.any(String)]);
  // Every secret of the settings has this in it.
  expect(text).not.toMatch(/s3cret|token=AK/);
  return JSON.parse(text);
}

const download = ({ host = "open.example", path, method = "GET", headers = {} }: ExplainRequest): Promise<GetResult> =>
  get({ port: program.downloadPort, host, path, method, headers });

/** Masks the values that change from second to second. */
const steady = (url: string) => url.replace(/([?&]e=)\d+/, "$1*").replace(/([?&](?:token|key|plain)=)[^&]*/g, "$1***");
const MOMENTARY = /^x-amz-date$/;
const timeless = (explained: Explained): unknown =>
  JSON.parse(
    JSON.stringify(explained).replace(
      /([?&]e=)\d+|("x-amz-date",")\w+|("expiresInSeconds":)\d+|(now is )\d+/g,
      "$1$2$3$40",
    ),
  );

const isInMemory = ({ stored }: Explained) => stored !== undefined && "isInMemory" in stored && stored.isInMemory;

function expectSent(sent: ScriptedRequest, explained: Explained["origin"][number]["requests"][number]): void {
  expect([sent.method, steady(`${origin.url}${sent.target}`)]).toEqual([explained.method, steady(explained.url)]);
  const explainedHeaders = new Map(explained.headers.map(([name, value]) => [name.toLowerCase(), value]));
  const names = Object.keys(sent.headers).filter(
    (name) => name !== "connection" && (name !== "host" || explainedHeaders.has("host")),
  );
  expect(names.sort()).toEqual([...explainedHeaders.keys()].sort());
  for (const [name, value] of explainedHeaders)
    if (value !== "***" && !MOMENTARY.test(name)) expect(sent.headers[name]).toBe(value);
}

/** True when no earlier request is still being fetched or stored. */
async function isAtRest(): Promise<boolean> {
  const headers = { authorization: "Bearer s3cret" };
  const { body } = await get({ port: program.adminPort, host: "127.0.0.1", path: "/metrics", headers });
  const counts = [...body.toString().matchAll(/^huiyuan_(?:fills_running|storing_depth) (\d+)$/gm)].map(
    ([, count]) => count,
  );
  return counts.length === 2 && counts.every((count) => count === "0");
}

/** Splits a Cache-Status into its text and its ttl in seconds. */
function splitTtl(text: string): { readonly rest: string; readonly ttl: number } {
  return { rest: text.replace(/ttl=-?\d+/, "ttl"), ttl: Number(/ttl=(-?\d+)/.exec(text)?.[1] ?? 0) };
}

/** Cache-Status of a download whose status explain leaves to the origin or the renderer. */
const UNDECIDED = { origin: /fwd=|detail=error/, renderer: /detail=(rendered|error)/ };

/** Explains a request twice, then sends it: all three results must agree. */
async function expectAsExplained(request: ExplainRequest): Promise<Explained> {
  await eventually(isAtRest, "no fetch or write is pending");
  const before = origin.requests.length;
  const begun = performance.now();
  let explained = await explain(request);
  const again = await explain(request);
  // The previous download may enter the memory cache between the two calls, because that happens after its response.
  if (isInMemory(explained) !== isInMemory(again)) explained = await explain(request);
  expect(timeless(again)).toEqual(timeless(explained));
  expect(origin.requests.length).toBe(before);

  const asked = explained.origin.filter(({ refusal }) => refusal === undefined);
  const real = await download(request);
  await eventually(
    () => origin.requests.length >= before + asked.length,
    `${asked.length} requests for ${request.path}`,
  );
  const sent = origin.requests.slice(before);

  const { status, errNo, location, cacheStatus } = explained.answer;
  if (status !== undefined) {
    expect([real.status, real.headers["x-errno"], real.headers.location]).toEqual([
      status,
      errNo && String(errNo),
      location,
    ]);
    if (cacheStatus !== undefined) {
      const [now, then] = [String(real.headers["cache-status"]), cacheStatus].map(splitTtl);
      expect(now?.rest).toBe(then?.rest);
      // The ttl counts on between the two, so it may differ by the seconds that have passed.
      const elapsed = (then?.ttl ?? 0) - (now?.ttl ?? 0);
      expect(elapsed).toBeGreaterThanOrEqual(0);
      expect(elapsed).toBeLessThanOrEqual(Math.ceil((performance.now() - begun) / 1_000));
    }
  } else {
    expect(real.headers["cache-status"]).toMatch(UNDECIDED[explained.answer.from as keyof typeof UNDECIDED]);
  }
  expect(sent.map(({ target, method }) => `${method} ${target}`)).toHaveLength(asked.length);
  for (const [index, ask] of asked.entries()) {
    const [first] = ask.requests;
    const one = sent[index];
    if (first === undefined || one === undefined) throw new Error("nothing to compare");
    expectSent(one, first);
    const isGood = !/missing|broken|moved/.test(new URL(first.url).pathname) && first.method === "GET";
    if (isGood && ask.isStored)
      await eventually(async () => (await stat(explained.bucket ?? "", ask.key)) === "object", `${ask.key} is stored`);
  }
  // The variant may still be pending.
  const isMade = explained.recipe !== undefined && real.status === 200;
  if (isMade)
    await eventually(async () => (await explain(request)).answer.from !== "renderer", `${request.path} is kept`);
  return explained;
}

async function stat(bucket: string, name: string): Promise<string> {
  const query = new URLSearchParams({ bucket, name });
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1/objects/stat?${query}`, {
    headers: { authorization: "Bearer s3cret" },
  });
  return ((await answer.json()) as { state: string }).state;
}

/** A token of the documented form, computed here without the program. */
function token(fields: {
  readonly bucket: string;
  readonly fileid?: string;
  readonly expires?: number;
  readonly issued?: number;
  readonly secretKey?: string;
}): string {
  const now = Math.floor(Date.now() / 1_000);
  const { bucket, fileid = "", expires = now + 3_600, issued = now, secretKey = KEYS.secretKey } = fields;
  const plain = `a=${APPID}&b=${bucket}&k=${KEYS.secretId}&e=${expires}&t=${issued}&r=${Math.floor(Math.random() * 1e9)}&u=0&f=${fileid}`;
  const mac = createHmac("sha1", secretKey).update(plain).digest();
  return encodeURIComponent(Buffer.concat([mac, Buffer.from(plain)]).toString("base64"));
}

const NAMES = [
  "a.jpg",
  "d/b.jpg",
  "%E9%A3%8E%20%E6%99%AF.jpg",
  "p+q.jpg",
  "m%3Fark.jpg",
  "x!small",
  "x!small!small",
  "y!a=1",
  "missing-1.jpg",
  "//dd.jpg",
];
const QUERIES = [
  "",
  "?a=1",
  "?b=2&v=3&size=4",
  "?imageView2/1/w/9",
  "?v=1&imageView2/1/w/9",
  "?sign=abc",
  "?v=%zz",
  "?imageView2/9/w/x",
  "?imageInfo",
];
const HOSTS = [
  "every.example",
  "secret.example",
  "qiniu.example",
  "s3.example",
  "bare.example",
  "other.example",
  "open-10001234.localhost",
];
const PREFIXES = [
  "",
  "none/",
  "go/",
  "async/",
  "pass/",
  "kept/",
  "headers/",
  "fall/",
  "tpl/",
  "head/",
  "processed/",
  "two/",
];

/**
 * Each name without a query, then with two queries that change from `turn` to `turn`, so that all names, queries and
 * turns meet. `npm run lab`, which repeats this file without the fast path, visits all combinations.
 */
function pathsOf(turn: number): readonly string[] {
  if (process.env.HUIYUAN_FAST_PATH === "off") return NAMES.flatMap((name) => QUERIES.map((query) => name + query));
  return NAMES.flatMap((name, index) => {
    const two = [0, 4].map((step) => QUERIES[1 + ((index + turn + step) % (QUERIES.length - 1))]);
    return ["", ...two].map((query) => `${name}${query}`);
  });
}

describe("explain predicts the responses, origin requests and stored objects of hundreds of URLs", () => {
  test.each([
    ["crop/!9x9a40a0", "-106"],
    ["crop/!9x9a39a0", undefined],
    ["thumbnail/20x/crop/!9x9a20a0", "-106"],
    ["auto-orient/crop/!9x9a0a40", "-106"],
    ["iradius/15", "-106"],
    ["iradius/14/rradius/14", "-106"],
    ["rradius/14", undefined],
    ["thumbnail/10000x", "-442"],
    ["thumbnail/20000x20000!/thumbnail/9x", "-442"],
    ["thumbnail/5000x5000!/format/bmp", "-442"],
  ])("explain leaves %s to the renderer, which knows the size of the image", async (instruction, errNo) => {
    await expectAsExplained({ path: "/sized.jpg" });
    const request = { path: `/sized.jpg?imageMogr2/${instruction}` };
    const explained = await expectAsExplained(request);
    expect(explained.answer).toMatchObject({ from: "renderer" });
    const { status, headers } = await download(request);
    expect([status, headers["x-errno"]]).toEqual([errNo === undefined ? 200 : 400, errNo]);
  });

  test.each(["iradius/16", "thumbnail/10001x"])("so it does with ignore-error/1/%s", async (instruction) => {
    await expectAsExplained({ path: "/sized.jpg" });
    const request = { path: `/sized.jpg?imageMogr2/ignore-error/1/${instruction}` };
    expect((await explain(request)).answer).toMatchObject({ from: "renderer" });
    expect(await download(request)).toMatchObject({ status: 200 });
  });

  test.each(PREFIXES)("rules: /%s", async (prefix) => {
    await expectAsExplained({ path: "/fallback.jpg" });
    const headers = prefix === "headers/" ? { "x-trace": "from-client", "x-other": "theirs", cookie: "a=b" } : {};
    for (const path of pathsOf(PREFIXES.indexOf(prefix)))
      await expectAsExplained({ path: `/${prefix}${path}`, headers });
  });

  test.each(HOSTS)("domains: %s", async (host) => {
    for (const path of pathsOf(HOSTS.indexOf(host))) await expectAsExplained({ host, path: `/${path}` });
  });

  test.each(["HEAD", "OPTIONS", "POST", "DELETE"])("methods: %s", async (method) => {
    const names = ["a.jpg", "head/h1.jpg", "fresh-1.jpg", "missing-2.jpg", "go/a.jpg", "async/z.jpg"];
    for (const name of names) await expectAsExplained({ method, path: `/${name}` });
  });

  test.each([
    { range: "bytes=0-9" },
    { range: "bytes=999999-" },
    { range: "bytes=0-1,5-6" },
    { "if-none-match": "*" },
    { "if-match": '"other"' },
    { "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT" },
    { via: "1.1 other" },
    { "cdn-loop": "other" },
    { origin: "http://page.example" },
  ])("headers: %o", async (headers) => {
    await expectAsExplained({ path: "/stored.jpg" });
    await expectAsExplained({ path: "/stored.jpg", headers: headers as unknown as Record<string, string> });
  });

  test("recent failures, and images that were just found missing", async () => {
    await expectAsExplained({ path: "/moved.jpg" });
    await expectAsExplained({ path: "/broken-1.jpg" });
    await expectAsExplained({ path: "/missing-3.jpg" });
    const again = await expectAsExplained({ path: "/missing-3.jpg" });
    expect(again).toMatchObject({
      answer: { status: 404, code: "not_found" },
      origin: [{ refusal: { code: "not_found" } }],
    });
  });
});

test.each([
  { why: "a dot segment", path: "/..", status: 400 },
  { why: "an escaped one", path: "/%2e%2e/a.jpg", status: 400 },
  { why: "a broken escape", path: "/%", status: 400 },
  { why: "NUL", path: "/a%00b.jpg", status: 400 },
  { why: "a long key", path: `/${"a".repeat(1_100)}`, status: 400 },
  { why: "no key", path: "/", status: 404 },
  { why: "a disabled project", path: "/a.jpg", host: "off.example", status: 403 },
  { why: "no host name", path: "/a.jpg", headers: { host: "two words" }, status: 400 },
])("$why is refused with $status before any look-up", async ({ path, host, headers, status }) => {
  const request = { path, ...(host && { host }), ...(headers && { headers: headers as Record<string, string> }) };
  const explained = await explain(request);
  expect(explained.answer).toMatchObject({ status });
  const real = await download(request).catch(() => undefined); // Node's client cannot send every Host.
  if (real !== undefined)
    expect([real.status, real.headers["x-errno"]]).toEqual([status, String(explained.answer.errNo)]);
  expect(explained.origin).toEqual([]);
});

describe("tokens", () => {
  const now = () => Math.floor(Date.now() / 1_000);
  test.each([
    { why: "none", sign: () => "", code: "sign_missing" },
    { why: "garbage", sign: () => "?sign=garbage", code: "sign_malformed" },
    {
      why: "another key",
      sign: () => `?sign=${token({ bucket: "signed", secretKey: "wrong" })}`,
      code: "sign_mismatch",
    },
    { why: "another bucket", sign: () => `?sign=${token({ bucket: "once" })}`, code: "sign_scope" },
    { why: "another file", sign: () => `?sign=${token({ bucket: "signed", fileid: "b.jpg" })}`, code: "sign_scope" },
    { why: "expired", sign: () => `?sign=${token({ bucket: "signed", expires: now() - 9 })}`, code: "sign_expired" },
    {
      why: "too long a life",
      sign: () => `?sign=${token({ bucket: "signed", expires: now() + 9e6 })}`,
      code: "sign_lifetime",
    },
  ])("$why is refused as on the download port: $code", async ({ sign, code }) => {
    const explained = await expectAsExplained({ host: "signed.example", path: `/t.jpg${sign()}` });
    expect(explained.token).toMatchObject({ verdict: "refused", code });
    expect(explained.answer).toMatchObject({ status: 403, code });
  });

  test("a valid token is accepted, for one file and for all files", async () => {
    for (const fileid of ["", "t.jpg"]) {
      const explained = await expectAsExplained({
        host: "signed.example",
        path: `/t.jpg?sign=${token({ bucket: "signed", fileid })}`,
      });
      expect(explained.token).toMatchObject({ verdict: "good", kind: "signed" });
    }
  });

  test("explain does not spend a one-time token, and reports it as spent once it is", async () => {
    const sign = token({ bucket: "once", fileid: "o.jpg", expires: 0 });
    const request = { host: "once.example", path: `/o.jpg?sign=${sign}` };
    expect((await expectAsExplained(request)).token).toMatchObject({ verdict: "good", isSpent: false });
    const spent = await expectAsExplained(request);
    expect(spent.token).toMatchObject({ isSpent: true });
    expect(spent.answer).toMatchObject({ status: 403, code: "sign_spent", errNo: -77 });
    expect(
      (
        await expectAsExplained({
          host: "never.example",
          path: `/o.jpg?sign=${token({ bucket: "never", fileid: "o.jpg", expires: 0 })}`,
        })
      ).answer.code,
    ).toBe("sign_one_time_refused");
  });

  test.each([
    { host: "listed.example", referer: "http://good.example/p", verdict: "unseen" },
    { host: "listed.example", referer: "http://bad.example/p", verdict: "unseen" },
    { host: "listed.example", referer: undefined, verdict: "refused" },
    { host: "denied.example", referer: "http://bad.example/", verdict: "off" },
    { host: "denied.example", referer: "http://good.example/", verdict: "off" },
  ])("Referer $referer at $host", async ({ host, referer, verdict }) => {
    const explained = await expectAsExplained({ host, path: "/r.jpg", ...(referer && { headers: { referer } }) });
    expect(explained.token?.verdict).toBe(verdict);
  });
});

test("deleted, purged and aged objects", async () => {
  const command = (...args: string[]) => loadedHuiyuan([...args, "--config", installation.file]);
  await expectAsExplained({ path: "/gone.jpg" });
  expect((await command("delete", "http://open.example/gone.jpg")).code).toBe(0);
  expect(await expectAsExplained({ path: "/gone.jpg" })).toMatchObject({
    stored: { state: "tombstone" },
    answer: { code: "deleted" },
  });
  await expectAsExplained({ path: "/purged.jpg" });
  expect((await command("purge", "http://open.example/purged.jpg")).code).toBe(0);
  const { out } = await command("explain", "http://open.example/purged.jpg");
  expect(out).toMatch(/^answer {4}200 with the stored image or the origin's newer one; with onGone: remove, 404 if /m);
  expect((await expectAsExplained({ path: "/purged.jpg" })).origin).toMatchObject([{ why: "refresh" }]);
  await expectAsExplained({ host: "aging.example", path: "/aged.jpg" });
  await eventually(
    async () => (await explain({ host: "aging.example", path: "/aged.jpg" })).origin.length > 0,
    "it is old",
  );
  expect((await expectAsExplained({ host: "aging.example", path: "/aged.jpg" })).origin).toMatchObject([
    { why: "behind" },
  ]);
});

test("a HEAD stores nothing, unless the setting is headMiss: store", async () => {
  const head = (path: string) => explain({ path, method: "HEAD" });
  expect((await head("/only-head.jpg")).origin).toMatchObject([{ isStored: false, requests: [{ method: "HEAD" }] }]);
  expect((await head("/head/stored.jpg")).origin).toMatchObject([{ isStored: true, requests: [{ method: "GET" }] }]);
});

test("a standby origin is reported as standby", async () => {
  const explained = await explain({ path: "/two/new.jpg" });
  expect(explained.origin[0]?.requests).toMatchObject([
    { url: `${origin.url}/base/two/new.jpg` },
    { url: `${origin.url}/two/new.jpg`, isStandby: true },
  ]);
});

describe("the command", () => {
  const command = (...args: string[]) => loadedHuiyuan(["explain", ...args, "--config", installation.file]);

  test("describes each step for people", async () => {
    const { code, out, err } = await command("http://open.example/headers/new.jpg?a=1", "--header", "X-Trace: mine");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^domain {4}open\.example, bucket 10001234\/open$/m);
    expect(out).toMatch(/^key {7}headers\/new\.jpg$/m);
    expect(out).toMatch(/^rule {6}rules\[5\] \{"prefix":"headers\/"\}: mirror, originals$/m);
    expect(out).toMatch(/^origin {4}is requested, and the client waits; stored as headers\/new\.jpg$/m);
    expect(out).toMatch(/GET http:\/\/127\.0\.0\.1:\d+\/headers\/new\.jpg\?key=\*\*\*&plain=\*\*\*/);
    expect(out).toMatch(/x-trace: \*\*\*/i);
    expect(out).toMatch(/^answer {4}depends on the origin/m);
  });

  test("exits with 1 when the request would be refused", async () => {
    const { code, out } = await command("http://signed.example/t.jpg");
    expect(code).toBe(1);
    expect(out).toMatch(/^answer {4}403, X-ErrNo -46618: .*\(sign_missing\)$/m);
  });

  test("a call of the REST API is reported as such", async () => {
    const { out } = await command(`http://web.example/photos/v2/${APPID}/open/0/a.jpg`);
    expect(out).toMatch(/REST API/);
  });

  test("explain recognizes the health path", async () => {
    const answer = await command("http://web.example/.well-known/huiyuan?a=b");
    expect(answer).toMatchObject({ out: "health path, no download\n", code: 0 });
  });

  test("without a server it explains by the data folder, and asks no origin", async () => {
    const port = await freePort();
    const other = await install({ ...settingsFor(origin.url), server: { adminPort: port } });
    const before = origin.requests.length;
    const ended = await loadedHuiyuan([
      "explain",
      "http://open.example/kept/a.jpg?v=1&x=2",
      "--json",
      "--config",
      other.file,
    ]);
    expect(ended).toMatchObject({ code: 0, err: expect.stringMatching(/^no server answers .* directly\n$/) });
    expect(JSON.parse(ended.out)).toMatchObject({
      key: "kept/a.jpg?v=1",
      stored: { state: "absent" },
      origin: [{ why: "miss", requests: [{ method: "GET", url: `${origin.url}/kept/a.jpg?v=1` }] }],
    });
    const said = await loadedHuiyuan(["explain", "http://open.example/kept/a.jpg", "--config", other.file]);
    expect(said.out).toMatch(/^stored {4}no$/m);
    const health = ["explain", "http://open.example/.well-known/huiyuan", "--config", other.file];
    expect((await loadedHuiyuan(health)).out).toBe("health path, no download\n");
    expect(origin.requests.length).toBe(before);
    await other.remove();
  });

  test.each([
    { args: ["no-url"], code: 1 },
    { args: ["ftp://open.example/a.jpg"], code: 1 },
    { args: ["http://open.example/a.jpg", "--method", "two words"], code: 1 },
    { args: ["http://open.example/a.jpg", "--header", "nothing"], code: 2 },
    { args: [], code: 2 },
  ])("$args is refused with a message", async ({ args, code }) => {
    const ended = await command(...args);
    expect(ended.code).toBe(code);
    expect(ended.err).toMatch(/\S/);
    expect(ended.err).not.toMatch(/\n\s+at /);
  });
});
