// An image that the origin withdraws while an older version is still being fetched through another domain of the
// bucket.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

/** The origin's second response to each path, and the status that clients get from then on. */
const ROWS = [
  { why: "has lost the image", path: "/lost.jpg", status: 404 },
  { why: "forbids to store it", path: "/unstorable.jpg", status: 200 },
] as const;

let old: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let goOn = () => {};

const requests = (path: string) => origin.requests.filter(({ target }) => target === path).length;
const ask = (host: string, path: string) => get({ port: program.downloadPort, host, path });

beforeAll(async () => {
  const images = await Promise.all([noisyJpeg(640, 480), noisyJpeg(64, 48)]);
  old = images[0];
  const unstorable = response(images[1], { headers: { "Cache-Control": "no-store" } });
  const lost = head("404 Not Found", [["Content-Length", "0"]]);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (requests(target) > 1) return connection.send(target === "/lost.jpg" ? lost : unstorable);
    await connection.send(head("200 OK", [["Content-Length", String(old.length)]]));
    await connection.send(old.subarray(0, old.length / 2));
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await connection.send(old.subarray(old.length / 2));
  });
  const mirror = {
    negativeTtl: "0s",
    freshness: { mode: "origin", ttl: "60s", staleIfError: "0s", onGone: "remove" },
  };
  const source = { type: "site", url: origin.url, allowPrivate: true };
  // With equal settings they would share one mirror, and so the fetch.
  const domains = ["one.test", "other.test"].map((host, index) => ({
    host,
    mirror: { ...mirror, origins: [{ ...source, connections: 8 + index }] },
  }));
  const buckets = [{ name: "photos", domains }];
  installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  program = await installation.start();
});
afterAll(async () => {
  goOn();
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test.each(ROWS)("once its origin $why, a pending fetch is served to its client", async ({ path, status }) => {
  const first = ask("one.test", path);
  await eventually(() => requests(path) === 1, "the first fetch");
  // The order of fetches is decided by their milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect((await ask("other.test", path)).status).toBe(status);
  goOn();
  expect((await first).body.equals(old)).toBe(true);
});

test("no such fetch is stored", async () => {
  await program.stop();
  program = await installation.start();
  for (const { path, status } of ROWS) {
    const later = await ask("one.test", path);
    expect([path, later.status, later.body.equals(old)]).toEqual([path, status, false]);
  }
});
