// An origin that hangs takes no place from the others: a fetch waits for its own origin before it counts as a fetch of
// the program.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const HUNG = 300;
const CONNECTIONS = 64;
let hanging: ScriptedOrigin;
let healthy: ScriptedOrigin;
let installation: Installation;
let program: Program;
let jpeg: Buffer;

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
  hanging = await startScriptedOrigin({ "*": ["HANG"] });
  healthy = await startScriptedOrigin({ "*": [response(jpeg)] });
  const domain = (host: string, { url }: ScriptedOrigin) => ({ host, mirror: mirrorOf(url) });
  const domains = [domain("hung.example", hanging), domain("well.example", healthy)];
  installation = await install({
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }],
    // Fewer than the requests that hang.
    limits: { fills: 100 },
  });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await hanging?.close();
  await healthy?.close();
  await installation?.remove();
});

test("beside 300 hung fetches of one origin another one's cold image comes as before", async () => {
  const cold = (path: string) => get({ port: program.downloadPort, path, host: "well.example" });
  expect((await cold("/before.jpg")).status).toBe(200);
  const hung = Array.from({ length: HUNG }, (_, index) =>
    get({ port: program.downloadPort, path: `/${index}.jpg`, host: "hung.example", leaveAfter: 0 }),
  );
  await eventually(() => hanging.requests.length === CONNECTIONS, "the hanging origin has all its connections");
  const answer = await cold("/beside.jpg");
  expect([answer.status, answer.headers["cache-status"]]).toEqual([200, "huiyuan; fwd=uri-miss; stored"]);
  expect(answer.body.equals(jpeg)).toBe(true);
  expect(hanging.requests).toHaveLength(CONNECTIONS);
  void Promise.allSettled(hung);
});
