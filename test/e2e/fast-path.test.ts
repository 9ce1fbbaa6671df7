// The fast path saves time and changes nothing: with and without it, the program gives the same bytes.
import { afterAll, beforeAll, expect, test } from "vitest";
import { converse } from "../helpers/converse.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

let origin: ScriptedOrigin;
const running: { readonly installation: Installation; readonly program: Program }[] = [];

beforeAll(async () => {
  const image = await noisyJpeg(60, 40);
  const lastModified = { "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT" };
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target.startsWith("/none")) return connection.send(response("", { status: "404 Not Found" }));
    await connection.send(response(image, { headers: lastModified }));
  });
  for (const env of [{}, { HUIYUAN_FAST_PATH: "off" }]) {
    const installation = await install(oneBucket(mirrorOf(origin.url)));
    const program = await installation.start({ env });
    running.push({ installation, program });
    const isStored = async () => {
      const { headers } = await get({ port: program.downloadPort, path: "/a.jpg" });
      return headers["cache-status"] === "huiyuan; hit; detail=memory";
    };
    await eventually(isStored, "/a.jpg is in memory");
  }
});
afterAll(async () => {
  for (const { installation, program } of running) {
    await program.stop();
    await installation.remove();
  }
  await origin?.close();
});

async function fastPathHits({ adminPort }: Program): Promise<number> {
  const { body } = await get({ port: adminPort, host: "127.0.0.1", path: "/metrics" });
  return Number(/^huiyuan_fast_path_hits_total (\d+)$/m.exec(body.toString())?.[1]);
}

const ask = (target: string, { method = "GET", version = "1.1", fields = ["Host: img.example"] } = {}) =>
  [`${method} ${target} HTTP/${version}`, ...fields, "", ""].join("\r\n");
const HOST = "Host: img.example";

/** Ids grow with the number of requests, which the programs need not share. */
function withoutIds(answer: string): string {
  const [head = "", body = ""] = answer.split("\r\n\r\n", 2);
  const plain = body.replaceAll(REQUEST_ID, "id");
  const shorter = body.length - plain.length;
  const length = (_all: string, bytes: string) => `Content-Length: ${Number(bytes) - shorter}`;
  return `${head.replaceAll(REQUEST_ID, "id").replace(/Content-Length: (\d+)/, length)}\r\n\r\n${plain}`;
}

const REQUEST_ID = /[0-9a-f]{16}-[0-9a-z]+/g;

test.each([
  ["a hit", ask("/a.jpg"), 200],
  ["a HEAD", ask("/a.jpg", { method: "HEAD" }), 200],
  ["a range", ask("/a.jpg", { fields: [HOST, "Range: bytes=0-9"] }), 206],
  ["an impossible range", ask("/a.jpg", { fields: [HOST, "Range: bytes=99999-"] }), 416],
  ["a condition", ask("/a.jpg", { fields: [HOST, "If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT"] }), 304],
  ["a miss that is no image", ask("/none.jpg"), 404],
  ["a processed image that cannot be", ask("/a.jpg?imageView2/9/w/5"), 400],
  ["a target that is no key", ask("/%zz"), 400],
  ["an absolute target", ask("http://img.example/a.jpg"), 200],
  ["no Host", ask("/a.jpg", { fields: [] }), 400],
  ["HTTP/1.0", ask("/a.jpg", { version: "1.0", fields: [] }), 200],
  ["a Host that is no name", ask("/a.jpg", { fields: ["Host: a b"] }), 400],
  ["a Host that is no URL's", ask("/a.jpg", { fields: ["Host: xn--a"] }), 200],
  ["a preflight", ask("/a.jpg", { method: "OPTIONS" }), 204],
  ["a method that is not allowed", ask("/a.jpg", { method: "DELETE" }), 405],
  ["a health check", ask("/.well-known/huiyuan"), 200],
  ["a call", ask("/photos/v2/10001234/photos/0/none"), 400],
  ["input that is no request", "nothing\r\n\r\n", 400],
])("answers %s with the same bytes", async (_what, bytes, status) => {
  const [answer, other] = await Promise.all(
    running.map(async ({ program }) => {
      const [text = "", ...more] = await converse(program.downloadPort, [bytes], 1);
      return [withoutIds(text), ...more];
    }),
  );
  expect(answer?.[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(other).toEqual(answer);
});

test("huiyuan_fast_path_hits_total counts hits of the fast path, and is 0 without it", async () => {
  const [on, off] = await Promise.all(running.map(({ program }) => fastPathHits(program)));
  expect(on).toBeGreaterThan(0);
  expect(off).toBe(0);
});

test("HUIYUAN_FAST_PATH with another value than off is refused at the start", async () => {
  const installation = await install(oneBucket(mirrorOf(origin.url)));
  const started = installation.start({ env: { HUIYUAN_FAST_PATH: "false" } });
  await expect(started).rejects.toThrow(/HUIYUAN_FAST_PATH="false": wanted off/);
  await installation.remove();
});
