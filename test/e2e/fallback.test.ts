// The fallback image of a rule, while the origin fails.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let isDown = false;

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
  origin = await startScriptedOrigin((request, connection) => {
    if (request.target.startsWith("/no")) return connection.send(response("", { status: "404 Not Found" }));
    return connection.send(isDown ? response("", { status: "503 Service Unavailable" }) : response(jpeg));
  });
  const freshness = { mode: "ttl", ttl: "1s", staleIfError: "0s" };
  installation = await install(oneBucket(mirrorOf(origin.url, { freshness, rules: [{ fallbackKey: "instead.jpg" }] })));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test("a stored fallback image is served as it is, also when it is stale and the origin fails", async () => {
  const ask = (path: string) => get({ port: program.downloadPort, path });
  expect((await ask("/instead.jpg")).status).toBe(200);
  await eventually(() => keysIn(installation.data, `${APPID}/photos`).includes("instead.jpg"), "it is stored");
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  isDown = true;
  const requests = origin.requests.length;
  const answer = await ask("/none.jpg");
  expect([answer.status, answer.headers["x-errno"], answer.body.equals(jpeg)]).toEqual([404, "-6101", true]);
  expect(origin.requests.slice(requests).map(({ target }) => target)).toEqual(["/none.jpg"]);
});
