// `huiyuan callbacks` as an operator runs it: against a running server, and on the data folder when no server runs.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { verifyCallback } from "../../src/serve/sign/callback.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { freePort } from "../helpers/services.ts";
import { oneBucket } from "../helpers/settings.ts";

const SECRET = "the secret of the callback";
const BUCKET = "10001234/photos";
let jpeg: Buffer;
let port: number;
let adminPort: number;
let installation: Installation;
let program: Program | undefined;
let business: Server | undefined;

beforeAll(async () => {
  jpeg = await noisyJpeg(20, 20);
  [port, adminPort] = [await freePort(), await freePort()];
  const callback = { url: `http://127.0.0.1:${port}/?key=hidden`, secret: SECRET, allowPrivate: true };
  installation = await install(oneBucket(undefined, { callback }, { server: { adminPort } }));
  program = await installation.start();
});
afterEach(() => {
  business?.close();
  business?.closeAllConnections();
  business = undefined;
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
});

const command = (...args: string[]) => loadedHuiyuan(["callbacks", ...args, "--config", installation.file]);
const jsonLines = (text: string) =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const listed = async (...args: string[]) => jsonLines((await command("list", "--json", ...args)).out);

/** Uploads files while the business server is down. */
async function uploadUnheard(...fileids: readonly string[]): Promise<void> {
  for (const fileid of fileids) {
    const result = await callApi({
      port: program?.downloadPort ?? 0,
      path: `/${encodeURIComponent(fileid)}`,
      sign: uploadToken(),
      form: fileForm(jpeg, { magicContext: "between uploader and business server" }),
    });
    expect(result.code).toBe(-5979);
  }
}

/** Starts a business server that accepts notices of all files, or only of `only`; returns the accepted notices. */
async function openBusiness(only?: string): Promise<readonly string[]> {
  const heard: string[] = [];
  business = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const verdict = verifyCallback(Buffer.concat(parts), { secret: SECRET, now: Math.floor(Date.now() / 1_000) });
    const isHeard = verdict.ok && (only === undefined || verdict.notice.fileid === only);
    if (isHeard) heard.push(`${verdict.notice.fileid} ${verdict.notice.attempt}`);
    response.writeHead(isHeard ? 200 : 500).end("{}");
  }).listen(port, "127.0.0.1");
  await once(business, "listening");
  return heard;
}

test("metrics count attempts and pending notices", async () => {
  await uploadUnheard("counted.jpg");
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  expect(text).toContain('huiyuan_callbacks_total{outcome="connect"} 1');
  expect(text).toContain('huiyuan_notices_owed{state="waiting"} 1');
  expect(text).toContain('huiyuan_notices_owed{state="given-up"} 0');
  await command("drop", "--all", "--yes");
});

test("list, retry and drop act on a running server", async () => {
  await uploadUnheard("a.jpg", "b\u202e.jpg", "c.jpg");
  const all = await listed();
  expect(all).toMatchObject([
    { bucket: BUCKET, fileid: "a.jpg", state: "waiting", attempts: 1, reason: "connect", size: jpeg.byteLength },
    { fileid: "b\u202e.jpg" },
    { fileid: "c.jpg" },
  ]);
  expect(Date.parse(all[0].dueAt)).toBeGreaterThan(Date.parse(all[0].since));
  const human = await command("list");
  expect(human.out).toMatch(
    new RegExp(
      `^ +${all[0].id} {2}waiting {3} 1 {2}\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d {2}connect +10001234/photos {2}a\\.jpg$`,
      "m",
    ),
  );
  expect(human.out).toContain("b\\u202e.jpg");
  expect(human.out + JSON.stringify(all)).not.toMatch(/hidden|between uploader/);

  const heard = await openBusiness("a.jpg");
  expect(await command("retry", String(all[0].id))).toMatchObject({ code: 0, out: "1 is sent again\n" });
  expect(await command("retry", "--all", "--yes")).toMatchObject({ code: 2 });
  await eventually(() => heard.length === 1, "the notice is sent");
  expect(heard).toEqual(["a.jpg 2"]);
  expect(await command("drop", String(all[1].id), "4711")).toMatchObject({ code: 1, out: "1 dropped\n" });
  expect((await listed()).map(({ fileid }) => fileid)).toEqual(["c.jpg"]);
  expect(program?.output).toMatch(/"operation":"callbacks drop".*"changed":1/);
  expect(await listed("--state", "given-up")).toEqual([]);
  expect(await command("drop", "--all", "--yes", "--json")).toMatchObject({
    code: 0,
    out: '{"changed":1,"isSending":true}\n',
  });
  expect(await command("list")).toMatchObject({ code: 0, out: "", err: "no callback is undelivered\n" });
  expect(heard.length).toBe(1);
}, 120_000);

test("retry without a server sends nothing, and the next server sends the notices", async () => {
  await uploadUnheard("d.jpg", "e.jpg");
  await program?.stop();
  program = undefined;
  const heard = await openBusiness();
  expect((await listed()).length).toBe(2);
  const retried = await command("retry", "--bucket", BUCKET);
  expect(retried).toMatchObject({ code: 0, out: "2 are sent again when the server runs\n" });
  expect(heard).toEqual([]);
  program = await installation.start();
  await eventually(() => heard.length === 2, "the server sends them");
  expect([...heard].sort()).toEqual(["d.jpg 2", "e.jpg 2"]);
});

test("notices of a bucket that was removed from the settings can be listed and dropped", async () => {
  await uploadUnheard("f.jpg");
  await program?.stop();
  const other = oneBucket(undefined, { name: "others" }, { server: { adminPort } });
  await installation.write(other);
  program = await installation.start();
  expect(await listed("--bucket", BUCKET)).toMatchObject([{ fileid: "f.jpg" }]);
  expect(await command("drop", "--bucket", BUCKET, "--yes")).toMatchObject({ code: 0, out: "1 dropped\n" });
});
