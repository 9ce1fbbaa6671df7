// The status contract: the client's status and X-ErrNo for each result of an origin, also under transparentErrors, and
// whether it is stored. Only the status of a failing response ever reaches a client.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  chunk,
  head,
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const PLAIN = "plain.test";
const TRANSPARENT = "transparent.test";
const DEAD = "dead.test";
/** Part of every failing response of the origin; no client may see it. */
const SECRET = "the-origin-says";

interface Row {
  readonly result: string;
  readonly script: (jpeg: Buffer) => Script;
  /** `<status>[ <X-ErrNo>]`; `broken` if the connection breaks after a 200. */
  readonly plain: string;
  /** Default: as `plain`. */
  readonly transparent?: string;
  readonly isStored?: boolean;
}

const failing =
  (status: string, headers: Readonly<Record<string, string>> = {}) =>
  () => [
    response(`<p>${SECRET}</p>`, { status, headers: { "Content-Type": "text/html", "X-Secret": SECRET, ...headers } }),
  ];
const length = (bytes: Buffer) => ["Content-Length", String(bytes.length)] as const;

const ROWS: readonly Row[] = [
  { result: "200, a whole image", script: (jpeg) => [response(jpeg)], plain: "200", isStored: true },
  {
    result: "200, a whole image in chunks",
    script: (jpeg) => [head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk(jpeg), "0\r\n\r\n"],
    plain: "200",
    isStored: true,
  },
  { result: "204", script: () => [head("204 No Content")], plain: "424 -120" },
  { result: "206", script: (jpeg) => [response(jpeg, { status: "206 Partial Content" })], plain: "424 -120" },
  { result: "301 to nowhere", script: failing("301 Moved", { Location: "http://10.0.0.1/" }), plain: "424 -120" },
  { result: "302 without a Location", script: failing("302 Found"), plain: "424 -120" },
  { result: "304", script: () => [head("304 Not Modified")], plain: "424 -120" },
  { result: "400", script: failing("400 Bad Request"), plain: "424 -120", transparent: "400 -120" },
  {
    result: "401",
    script: failing("401 Unauthorized", { "WWW-Authenticate": `Basic realm="${SECRET}"` }),
    plain: "424 -120",
    transparent: "401 -120",
  },
  { result: "403", script: failing("403 Forbidden"), plain: "424 -120", transparent: "403 -120" },
  { result: "404", script: failing("404 Not Found"), plain: "404 -6101" },
  {
    result: "407",
    script: failing("407 Proxy Authentication Required", { "Proxy-Authenticate": `Basic realm="${SECRET}"` }),
    plain: "424 -120",
  },
  { result: "410", script: failing("410 Gone"), plain: "404 -6101" },
  { result: "416", script: failing("416 Range Not Satisfiable"), plain: "424 -120", transparent: "416 -120" },
  { result: "429", script: failing("429 Too Many Requests"), plain: "424 -120", transparent: "429 -120" },
  { result: "500", script: failing("500 Oops"), plain: "424 -120", transparent: "500 -120" },
  { result: "503", script: failing("503 Unavailable"), plain: "424 -120", transparent: "503 -120" },
  { result: "599", script: failing("599 Odd"), plain: "424 -120", transparent: "599 -120" },
  { result: "600", script: failing("600 Odder"), plain: "424 -120" },
  { result: "an error with an endless head", script: () => ["HTTP/1.1 500 Oops\r\n", "HANG"], plain: "424 -902" },
  { result: "no answer in time", script: () => ["HANG"], plain: "424 -902" },
  { result: "a reset before the head", script: () => ["RST"], plain: "424 -902" },
  { result: "no HTTP", script: () => [`${SECRET}\r\n\r\n`, "FIN"], plain: "424 -120" },
  { result: "200, an HTML page", script: () => [response(`<html>${SECRET}</html>`)], plain: "424 -120" },
  { result: "200, empty", script: () => [response("")], plain: "424 -120" },
  {
    result: "200, cut before its first byte",
    script: (jpeg) => [head("200 OK", [length(jpeg)]), "FIN"],
    plain: "424 -120",
  },
  {
    result: "200, cut in the middle",
    script: (jpeg) => [head("200 OK", [length(jpeg)]), jpeg.subarray(0, jpeg.length / 2), { pause: 100 }, "FIN"],
    plain: "broken",
  },
  {
    result: "200, no byte for long in the middle",
    script: (jpeg) => [head("200 OK", [length(jpeg)]), jpeg.subarray(0, jpeg.length / 2), "HANG"],
    plain: "broken",
  },
  {
    result: "200, too large",
    script: () => [head("200 OK", [["Content-Length", "99000000"]]), "HANG"],
    plain: "424 -120",
  },
  {
    result: "200, gzip",
    script: (jpeg) => [response(jpeg, { headers: { "Content-Encoding": "gzip" } })],
    plain: "424 -120",
  },
];

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const pathOf = (result: string) => `/${result.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}.jpg`;
const ask = (host: string, path: string, method = "GET") => get({ port: program.downloadPort, host, path, method });

function told({ status, headers, body, isWhole }: GetResult): string {
  if (status !== 200) return [status, headers["x-errno"]].join(" ");
  if (!isWhole) return "broken";
  return body.equals(jpeg) ? "200" : "200, wrong bytes";
}

beforeAll(async () => {
  // Larger than the kernel's first window, so that half of it is sent before the end.
  jpeg = await noisyJpeg(640, 480);
  origin = await startScriptedOrigin(
    Object.fromEntries(ROWS.map(({ result, script }) => [pathOf(result), script(jpeg)])),
  );
  const mirror = {
    timeouts: { connect: "1s", firstByte: "1s", idle: "1s", total: "5s" },
    // Each failure is requested on its own.
    breaker: { failures: 10_000 },
    origins: [{ type: "site", url: origin.url, allowPrivate: true }],
  };
  const dead = { type: "site", url: `http://127.0.0.1:${await freePort()}`, allowPrivate: true };
  const domains = [
    { host: PLAIN, mirror },
    { host: TRANSPARENT, mirror: { ...mirror, transparentErrors: true } },
    { host: DEAD, mirror: { ...mirror, transparentErrors: true, origins: [dead] } },
  ];
  const buckets = domains.map((domain, index) => ({ name: `b${index}`, domains: [domain] }));
  installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

describe.each([PLAIN, TRANSPARENT])("%s", (host) => {
  test.concurrent.each(ROWS)("$result", async ({ result, plain, transparent = plain, isStored = false }) => {
    const path = pathOf(result);
    const expected = host === PLAIN ? plain : transparent;
    const answer = await ask(host, path);
    expect(told(answer)).toBe(expected);
    if (answer.status >= 300) {
      expect(`${JSON.stringify(answer.headers)}${answer.body}`).not.toContain(SECRET);
      expect(answer.headers["cache-control"]).toBe("no-store");
    }
    const hit = async () =>
      /; hit; detail=(memory|bucket)/.test(String((await ask(host, path)).headers["cache-status"]));
    if (isStored) await eventually(hit, `${path} is stored`);
    else expect(await hit()).toBe(false);
  });
});

test("an unreachable origin gives 424, transparent or not", async () => {
  expect(told(await ask(DEAD, "/a.jpg"))).toBe("424 -902");
});

test("HEAD gets the same result as GET", async () => {
  expect(told(await ask(PLAIN, pathOf("503"), "HEAD"))).toBe("424 -120");
  expect(told(await ask(TRANSPARENT, pathOf("503"), "HEAD"))).toBe("503 -120");
});
