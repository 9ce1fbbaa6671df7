// The rates of one client (`limits.perClient`), and buckets that take no instructions (`processing: aliases`). Loopback
// addresses beside 127.0.0.1 are the other clients.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GetOptions, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { metric } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const SMALL = "imageView2/2/w/100";
const STYLES = { cover: "imageView2/2/w/60", tiny: "imageView2/2/w/20" };

let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let jpeg: Buffer;
let count = 0;

const settings = (perClient: object, { server = {}, bucket = {} }: { server?: object; bucket?: object } = {}) =>
  oneBucket(
    mirrorOf(origin.url),
    { separators: ["!"], cors: ["https://a.example"], ...bucket },
    {
      server,
      limits: { perClient },
    },
  );
const ask = (path: string, localAddress = "127.0.0.1", more: Partial<GetOptions> = {}) =>
  get({ port: program.downloadPort, path, localAddress, ...more });
const statuses = async (...answers: ReturnType<typeof ask>[]) =>
  (await Promise.all(answers)).map(({ status }) => status);
const limited = (limit: string) => metric(program.adminPort, `huiyuan_client_limited_total{limit="${limit}"}`);
/** A path that nothing was asked for yet. */
function fresh(): string {
  count += 1;
  return `/fresh-${count}.jpg`;
}

/** Starts the program with these settings and the cached image `/hit.jpg`, which other addresses have fetched. */
async function start(next: object, env: Readonly<Record<string, string>> = {}): Promise<void> {
  await program?.stop();
  await installation.write(next);
  program = await installation.start({ env });
  await eventually(async () => {
    count += 1;
    const { headers } = await ask("/hit.jpg", `127.9.${count >> 8}.${count & 0xff}`);
    return headers["cache-status"] === "huiyuan; hit; detail=memory";
  }, "/hit.jpg is in memory");
}

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
  origin = await startScriptedOrigin((_request, connection) => connection.send(response(jpeg)));
  installation = await install(settings({}));
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test.each([{}, { HUIYUAN_FAST_PATH: "off" }])("requestsPerSecond holds for each address (%j)", async (env) => {
  await start(settings({ requestsPerSecond: 0.05, burst: 60 }), env);
  expect(await statuses(ask("/hit.jpg"), ask("/hit.jpg"), ask("/hit.jpg"))).toEqual([200, 200, 200]);
  const began = performance.now();
  const refused = await ask("/hit.jpg", "127.0.0.1", { headers: { origin: "https://a.example" } });
  // A refusal is held back, so that a flood of them is slow.
  expect(performance.now() - began).toBeGreaterThan(400);
  const { status, headers, body } = refused;
  expect([status, headers["x-errno"], headers["cache-control"]]).toEqual([429, "-29214", "no-store"]);
  expect(Number(headers["retry-after"])).toBeGreaterThan(10);
  expect(headers["access-control-allow-origin"]).toBe("https://a.example");
  expect(JSON.parse(body.toString())).toMatchObject({ code: -29214, requestId: headers["x-request-id"] });
  expect(await statuses(ask("/hit.jpg", "127.0.0.2"), ask(fresh(), "127.0.0.3"))).toEqual([200, 200]);
  // Misses and preflights count; health checks and the admin port do not.
  expect(await statuses(ask(fresh()), ask("/hit.jpg", "127.0.0.1", { method: "OPTIONS" }))).toEqual([429, 429]);
  expect(await statuses(ask("/.well-known/huiyuan"))).toEqual([200]);
  expect(await limited("requests")).toBe(3);
  expect(await metric(program.adminPort, 'huiyuan_errors_total{code="rate_limited"}')).toBe(3);
});

test("a call of the REST API counts as a request, and beyond the rate is answered -71", async () => {
  await start(settings({ requestsPerSecond: 0.05, burst: 40 }));
  const call = () => callApi({ port: program.downloadPort, path: "/hit.jpg", sign: uploadToken("hit.jpg") });
  expect([(await call()).code, (await ask("/hit.jpg")).status]).toEqual([0, 200]);
  const { status, code, headers } = await call();
  expect([status, code]).toEqual([400, -71]);
  expect(Number(headers["retry-after"])).toBeGreaterThan(10);
});

test("rendersPerSecond counts renders that a client starts, not hits and not joined renders", async () => {
  await start(settings({ rendersPerSecond: 0.05, burst: 60 }));
  const path = `/hit.jpg?${SMALL}`;
  const joined = Array.from({ length: 10 }, (_, index) => ask(path, index === 0 ? "127.0.0.1" : "127.0.0.2"));
  expect(new Set(await statuses(...joined))).toEqual(new Set([200]));
  const started = await metric(program.adminPort, "huiyuan_render_seconds_count");
  for (let again = 0; again < 5; again += 1) expect((await ask(path)).status).toBe(200);
  expect(await metric(program.adminPort, "huiyuan_render_seconds_count")).toBe(started);
  // Each format of `format/auto` is a variant. 127.0.0.3 has started none yet.
  const auto = `/hit.jpg?${SMALL}/format/auto`;
  const accept = (value: string) => ask(auto, "127.0.0.3", { headers: { accept: value } });
  expect((await accept("image/webp")).status).toBe(200);
  expect((await accept("image/avif")).status).toBe(200);
  expect((await ask(`/hit.jpg?${SMALL}/q/50`, "127.0.0.3")).status).toBe(200);
  const refused = await ask(`/hit.jpg?${SMALL}/q/51`, "127.0.0.3");
  expect([refused.status, refused.headers["x-errno"]]).toEqual([429, "-29214"]);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(10);
  expect((await ask(`/hit.jpg?${SMALL}/q/51/ignore-error/1`, "127.0.0.3")).status).toBe(429);
  // Its hits, misses and the renders of others go on; what others have rendered is a hit for it.
  expect(await statuses(accept("image/webp"), ask("/hit.jpg", "127.0.0.3"), ask(fresh(), "127.0.0.3"))).toEqual([
    200, 200, 200,
  ]);
  expect((await ask(`/hit.jpg?${SMALL}/q/51`, "127.0.0.4")).status).toBe(200);
  expect((await ask(`/hit.jpg?${SMALL}/q/51`, "127.0.0.3")).status).toBe(200);
  expect(await limited("renders")).toBe(2);
  expect(await limited("requests")).toBe(0);
});

test("renders that an upload causes count for nobody", async () => {
  await start(settings({ rendersPerSecond: 0.05, burst: 20 }, { bucket: { styles: STYLES } }));
  const before = await metric(program.adminPort, "huiyuan_render_seconds_count");
  const form = fileForm(jpeg);
  expect((await callApi({ port: program.downloadPort, path: "/up.jpg", sign: uploadToken("up.jpg"), form })).code).toBe(
    0,
  );
  await eventually(
    async () => (await metric(program.adminPort, "huiyuan_render_seconds_count")) >= before + 2,
    "both styles are rendered ahead",
  );
  expect(await statuses(ask("/up.jpg!cover"), ask("/up.jpg!tiny"))).toEqual([200, 200]);
  expect((await ask(`/up.jpg?${SMALL}/q/60`)).status).toBe(200);
  expect((await ask(`/up.jpg?${SMALL}/q/61`)).status).toBe(429);
});

test("a watermark costs its client one render", async () => {
  await start(settings({ rendersPerSecond: 0.05, burst: 20 }));
  const url = Buffer.from(`http://any.example${fresh()}`).toString("base64url");
  expect((await ask(`/hit.jpg?watermark/1/image/${url}`)).status).toBe(200);
  expect((await ask(`/hit.jpg?${SMALL}/q/70`)).status).toBe(429);
});

test("a client behind a trusted proxy is the one that X-Forwarded-For names", async () => {
  await start(settings({ requestsPerSecond: 0.05, burst: 20 }, { server: { trustedProxies: ["127.0.0.5"] } }));
  const by = (proxy: string, client: string) => ask("/hit.jpg", proxy, { headers: { "x-forwarded-for": client } });
  expect((await by("127.0.0.5", "203.0.113.1")).status).toBe(200);
  expect((await by("127.0.0.5", "203.0.113.1")).status).toBe(429);
  expect((await by("127.0.0.5", "2001:db8::1")).status).toBe(200);
  expect((await by("127.0.0.5", "2001:db8::2")).status).toBe(429);
  expect((await by("127.0.0.6", "203.0.113.2")).status).toBe(200);
  expect((await by("127.0.0.6", "203.0.113.3")).status).toBe(429);
});

test("a client beyond its rate costs one log line a minute, and does not hide the next client", async () => {
  await start(settings({ requestsPerSecond: 0.05, burst: 20 }, { server: { accessLog: "misses" } }));
  for (let again = 0; again < 10; again += 1) await ask("/hit.jpg");
  for (let again = 0; again < 3; again += 1) await ask("/hit.jpg", "127.0.0.2");
  const lines = program.output.split("\n").filter((line) => line.includes("exceeds its rate"));
  expect(lines).toEqual([
    expect.stringMatching(/"client":"127\.0\.0\.1","limit":"requests"/),
    expect.stringMatching(/"client":"127\.0\.0\.2","limit":"requests"/),
  ]);
  expect(program.output).not.toContain("rate_limited");
});

test("processing: aliases refuses instructions and serves aliases and originals", async () => {
  await start(settings({}, { bucket: { processing: "aliases", aliases: STYLES } }));
  for (const query of [SMALL, "imageInfo", "imageView2/9/w/nonsense", `v=1&${SMALL}`, `${SMALL}/ignore-error/1`]) {
    const { status, headers } = await ask(`/hit.jpg?${query}`);
    expect([query, status, headers["x-errno"]]).toEqual([query, 403, "-154"]);
  }
  expect((await ask(`/hit.jpg!cover?${SMALL}`)).headers["x-errno"]).toBe("-154");
  expect(await statuses(ask("/hit.jpg!cover"), ask("/hit.jpg"), ask("/hit.jpg?v=1"))).toEqual([200, 200, 200]);
  const url = `http://any.example/hit.jpg?${SMALL}`;
  const explained = await loadedHuiyuan(["explain", url, "--admin", `http://127.0.0.1:${program.adminPort}`]);
  expect([explained.code, explained.out]).toEqual([
    1,
    expect.stringMatching(
      /bucket 10001234\/photos\n[\s\S]*403, X-ErrNo -154: .*processing_refused.*`processing: aliases`/,
    ),
  ]);
});

test("/metrics tells the time and the outcome of the last reload", async () => {
  await start(settings({}));
  const last = async () => [
    await metric(program.adminPort, "huiyuan_reload_successful"),
    await metric(program.adminPort, "huiyuan_reload_timestamp_seconds"),
  ];
  const [outcome, started = 0] = await last();
  expect(outcome).toBe(1);
  expect(Math.abs(Date.now() / 1_000 - started)).toBeLessThan(60);
  await installation.write({ ...settings({}), nonsense: true });
  await eventually(async () => (await last())[0] === 0, "the fault is noticed");
  const [, refused = 0] = await last();
  expect(refused).toBeGreaterThan(started);
  await installation.write(settings({}));
  await eventually(async () => (await last())[0] === 1, "the good file is applied");
  expect((await last())[1]).toBeGreaterThan(refused);
});
