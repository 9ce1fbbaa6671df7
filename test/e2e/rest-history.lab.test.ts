// Uploads, stats, copies and deletes in a bucket with a mirror. An image that only the origin has counts as existing,
// an upload is never replaced, and a deleted image does not return.
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { head, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

let history: Buffer;
let upload: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
/** Lets the origin send the rest of its slow images. */
let goOn: () => void = () => {};
let going = Promise.resolve();
/** A server whose disk is full. */
let full: Installation;
let fullProgram: Program;
/** A stat of that server, which takes 10 s; the other tests run meanwhile. */
let patient: Promise<{ readonly code: number; readonly milliseconds: number }>;

beforeAll(async () => {
  [history, upload] = await Promise.all([noisyJpeg(200, 100), noisyJpeg(120, 80)]);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target.startsWith("/none")) return connection.send(head("404 Not Found", [["Content-Length", "0"]]));
    const image = target.startsWith("/cut") ? Buffer.concat([history.subarray(0, -100), Buffer.alloc(100)]) : history;
    const policy = target.startsWith("/unkept") ? [["Cache-Control", "no-store"] as const] : [];
    await connection.send(head("200 OK", [["Content-Length", String(image.length)], ...policy]));
    await connection.send(image.subarray(0, 1_000));
    if (target.startsWith("/slow")) await going;
    await connection.send(image.subarray(1_000));
  });
  const rules = [{ match: { prefix: "unkept/" }, freshness: { mode: "origin" } }];
  installation = await install(oneBucket(mirrorOf(origin.url, { rules })));
  program = await installation.start();
  full = await install({ ...oneBucket(mirrorOf(origin.url)), limits: { freeDisk: "900000GB" } });
  fullProgram = await full.start();
  patient = patientStat();
  patient.catch(() => undefined); // Its test awaits it.
});
afterAll(async () => {
  goOn();
  await fullProgram?.kill();
  await full?.remove();
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const requestsFor = (fileid: string) => origin.requests.filter(({ target }) => target === pathOf(fileid)).length;
const stat = (fileid: string) => callApi({ port: program.downloadPort, path: `/${encodeURIComponent(fileid)}` });
const download = (fileid: string) => get({ port: program.downloadPort, path: pathOf(fileid) });
const put = (fileid: string, image = upload) =>
  callApi({
    port: program.downloadPort,
    path: `/${encodeURIComponent(fileid)}`,
    form: fileForm(image),
    sign: uploadToken(fileid),
  });
const operate = (operation: "copy" | "del", fileid: string) =>
  callApi({
    port: program.downloadPort,
    path: `/${encodeURIComponent(fileid)}/${operation}`,
    method: "POST",
    sign: onceToken(fileid),
  });

test("a stat fetches an image that is not mirrored yet, once for all requests", async () => {
  const answers = await Promise.all(Array.from({ length: 30 }, () => stat("old/a b.jpg")));
  for (const { code, data } of answers) {
    expect([code, data]).toMatchObject([
      0,
      {
        file_fileid: "old/a b.jpg",
        file_size: String(history.byteLength),
        file_md5: createHash("md5").update(history).digest("hex"),
        photo_width: "200",
        photo_height: "100",
      },
    ]);
  }
  expect(requestsFor("old/a b.jpg")).toBe(1);
  expect(String((await download("old/a b.jpg")).headers["cache-status"])).toMatch(/huiyuan; hit/);
});

test("a pipelined stat after a request outside the fast path is answered as any other", async () => {
  const bytes = (fileid: string, ...fields: string[]) => {
    const stat = `GET /photos/v2/${APPID}/photos/0/${fileid} HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n`;
    return `GET /none.jpg HTTP/1.1\r\nHost: any.example\r\n${fields.join("")}\r\n${stat}`;
  };
  for (const [fileid, code] of [
    ["old/ahead.jpg", 0],
    ["none/ahead.jpg", -197],
  ] as const) {
    const { body } = await sendRaw(program.downloadPort, bytes(fileid, "X-A: 1\r\n", "X-A: 2\r\n"));
    expect(body).toContain(`{"code":${code},`);
  }
});

test("a client that disconnects while its stat waits for the disk causes no error in the log", async () => {
  const socket = connect(fullProgram.downloadPort, "127.0.0.1");
  socket.write(`GET /photos/v2/${APPID}/photos/0/old%2Fleft.jpg HTTP/1.1\r\nHost: any.example\r\n\r\n`);
  await eventually(() => requestsFor("old/left.jpg") === 1, "the origin gets a request");
  const isPending = async () => {
    const { headers } = await get({ port: fullProgram.downloadPort, path: "/old/left.jpg" });
    return String(headers["cache-status"]).includes("hit; detail=spool");
  };
  await eventually(isPending, "the stat waits for the disk");
  expect(fullProgram.output).toContain("will retry to store an image");
  socket.resetAndDestroy();
  await delay(300);
  expect(fullProgram.output).not.toContain("an API call failed");
});

test("a copy fetches an image that is not mirrored yet, and is an image of its own", async () => {
  const { code, data } = await operate("copy", "old/b.jpg");
  expect(code).toBe(0);
  expect(requestsFor("old/b.jpg")).toBe(1);
  const fileid = String(data.fileid);
  expect((await download(fileid)).body.equals(history)).toBe(true);
  expect(requestsFor(fileid)).toBe(0);
});

test("a stat and a copy report a missing image, and one that is broken at the origin", async () => {
  expect(await stat("none.jpg")).toMatchObject({ status: 400, code: -197 });
  expect(await operate("copy", "none2.jpg")).toMatchObject({ status: 400, code: -197 });
  expect(await stat("cut.jpg")).toMatchObject({ status: 400, code: -5997 });
  expect(await operate("copy", "cut2.jpg")).toMatchObject({ status: 400, code: -5997 });
});

test("an image that the origin forbids to store is not in the bucket, and is logged as no failure", async () => {
  expect((await download("unkept/a.jpg")).status).toBe(200);
  expect(await stat("unkept/a.jpg")).toMatchObject({ status: 400, code: -197 });
  expect(await operate("copy", "unkept/b.jpg")).toMatchObject({ status: 400, code: -197 });
  expect(program.output).not.toContain("an API call failed");
});

test("a delete hides an image that only the origin has, until an upload takes the name", async () => {
  expect(await operate("del", "old/c.jpg")).toMatchObject({ status: 200, code: 0, data: {} });
  expect((await download("old/c.jpg")).status).toBe(404);
  expect(await stat("old/c.jpg")).toMatchObject({ code: -197 });
  expect(await operate("copy", "old/c.jpg")).toMatchObject({ code: -197 });
  expect(await operate("del", "old/c.jpg")).toMatchObject({ code: -197 });
  expect(requestsFor("old/c.jpg")).toBe(0);
  expect(await put("old/c.jpg")).toMatchObject({ code: 0 });
  expect((await download("old/c.jpg")).body.equals(upload)).toBe(true);
  expect(await operate("del", "old/c.jpg")).toMatchObject({ code: 0 });
  await program.kill();
  program = await installation.start();
  expect((await download("old/c.jpg")).status).toBe(404);
  expect(requestsFor("old/c.jpg")).toBe(0);
});

test("an upload is refused if the mirror has stored an image, and wins over a pending fetch", async () => {
  await download("old/d.jpg");
  await eventually(async () => (await put("old/d.jpg")).code === -1886, "the mirrored image is stored");
  going = new Promise((resolve) => {
    goOn = resolve;
  });
  const fetched = download("slow.jpg");
  await eventually(() => requestsFor("slow.jpg") === 1, "the origin gets a request");
  expect(await put("slow.jpg")).toMatchObject({ code: 0 });
  expect((await download("slow.jpg")).body.equals(upload)).toBe(true);
  goOn();
  expect((await fetched).body.equals(history)).toBe(true);
  for (let time = 0; time < 3; time += 1) expect((await download("slow.jpg")).body.equals(upload)).toBe(true);
  expect(await stat("slow.jpg")).toMatchObject({ data: { file_size: String(upload.byteLength) } });
  await program.kill();
  program = await installation.start();
  expect((await download("slow.jpg")).body.equals(upload)).toBe(true);
});

test("a delete wins over a pending fetch", async () => {
  going = new Promise((resolve) => {
    goOn = resolve;
  });
  const fetched = download("slow-deleted.jpg");
  await eventually(() => requestsFor("slow-deleted.jpg") === 1, "the origin gets a request");
  expect(await operate("del", "slow-deleted.jpg")).toMatchObject({ code: 0 });
  goOn();
  await fetched;
  expect((await download("slow-deleted.jpg")).status).toBe(404);
  expect(requestsFor("slow-deleted.jpg")).toBe(1);
});

test.each([
  ["stat", "a purge", ["purge"]],
  ["copy", "a purge", ["purge"]],
  ["stat", "a delete and an undelete", ["delete", "undelete"]],
  ["copy", "a delete and an undelete", ["delete", "undelete"]],
] as const)("a %s overtaken by %s fetches again and succeeds", async (operation, _by, changes) => {
  const fileid = `slow-${operation}-${changes.length}.jpg`;
  going = new Promise((resolve) => {
    goOn = resolve;
  });
  const answer = operation === "stat" ? stat(fileid) : operate("copy", fileid);
  await eventually(() => requestsFor(fileid) === 1, "the origin gets a request");
  for (const change of changes) {
    await changeObjects(program.adminPort, change, { bucket: `${APPID}/photos`, names: [fileid] });
  }
  goOn();
  expect(await answer).toMatchObject({ status: 200, code: 0 });
  expect(requestsFor(fileid)).toBe(2);
});

test("a stat waits 10 s for the disk", { timeout: 40_000 }, async () => {
  const { code, milliseconds } = await patient;
  expect(code).toBe(-5989);
  expect(milliseconds).toBeLessThan(30_000);
});

async function patientStat(): Promise<{ code: number; milliseconds: number }> {
  const begun = performance.now();
  const { code } = await callApi({ port: fullProgram.downloadPort, path: "/old%2Fpatient.jpg" });
  return { code, milliseconds: performance.now() - begun };
}
