// Uploads during failures: clients that die, a disk that fills up, fifty uploads of one name, and kill -9 at any
// moment. Acknowledged uploads are stored unchanged; no upload is stored partially.
import { open, readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as elapse } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, type MadeForm, makeForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { needs } from "../helpers/services.ts";
import { APPID, oneBucket } from "../helpers/settings.ts";
import { fillDisk, mountSmall } from "./crash/broken-disk.ts";

const clean: (() => unknown)[] = [];
let jpeg: Buffer;

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
});
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

/** A different image for each name: bytes after a JPEG's end are ignored by decoders. */
const imageOf = (name: string, size = 0) => Buffer.concat([jpeg, Buffer.alloc(size, name), Buffer.from(name)]);

async function prepare(limits: object = {}): Promise<Installation> {
  const installation = await install({ ...oneBucket(undefined), limits });
  clean.push(() => installation.remove());
  return installation;
}

async function start(installation: Installation): Promise<Program> {
  const program = await installation.start();
  clean.push(() => program.kill());
  return program;
}

const upload = (port: number, fileid: string, image: Buffer) =>
  callApi({ port, path: `/${encodeURIComponent(fileid)}`, form: fileForm(image), sign: uploadToken(fileid) });
const stat = (port: number, fileid: string) => callApi({ port, path: `/${encodeURIComponent(fileid)}` });
const operate = (port: number, operation: "copy" | "del", fileid: string) =>
  callApi({ port, path: `/${encodeURIComponent(fileid)}/${operation}`, method: "POST", sign: onceToken(fileid) });

async function download(port: number, fileid: string): Promise<Buffer | undefined> {
  const answer = await get({ port, path: pathOf(fileid) });
  if (answer.status === 404) return undefined;
  expect([fileid, answer.status, answer.isWhole]).toEqual([fileid, 200, true]);
  return answer.body;
}

/** Sends the head and `bytes` of the form's body, then resets the connection. */
async function dieAfter(port: number, fileid: string, { contentType, body }: MadeForm, bytes: number): Promise<void> {
  const lines = [
    `POST /photos/v2/${APPID}/photos/0/${fileid} HTTP/1.1`,
    "Host: web.image.myqcloud.com",
    `Authorization: ${uploadToken(fileid)}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.byteLength}`,
  ];
  const socket = connect(port, "127.0.0.1");
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.write(body.subarray(0, bytes), () => resolve());
  });
  socket.resetAndDestroy();
}

async function metric(program: Program, name: string): Promise<number> {
  const { body } = await get({ port: program.adminPort, host: "127.0.0.1", path: "/metrics" });
  return Number(new RegExp(`^huiyuan_${name} (\\d+)$`, "m").exec(body.toString())?.[1] ?? Number.NaN);
}

test("a client that dies in the middle of an upload leaves nothing behind, at any position", async () => {
  const installation = await prepare();
  const program = await start(installation);
  const large = fileForm(imageOf("large", 2_000_000));
  const total = large.body.byteLength;
  for (const bytes of [0, 1, 100, 300, 70_000, 1_000_000, total - 60, total - 20, total - 4, total - 1]) {
    await dieAfter(program.downloadPort, `dead-${bytes}.jpg`, large, bytes);
  }
  await eventually(async () => (await metric(program, "uploads_running")) === 0, "no upload runs");
  await eventually(async () => (await metric(program, "spools")) === 0, "no spool is held");
  expect(await readdir(join(installation.data, "spool"))).toEqual([]);
  // Cuts inside the closing boundary are left out: that upload may already be whole.
  for (const bytes of [0, 1, 100, 300, 70_000, 1_000_000, total - 60, total - 20]) {
    expect(await stat(program.downloadPort, `dead-${bytes}.jpg`)).toMatchObject({ code: -197 });
  }
});

test("exactly one of fifty uploads of one name succeeds, and its bytes are stored", async () => {
  const program = await start(await prepare());
  for (const size of [0, 400_000]) {
    const fileid = `race-${size}.jpg`;
    const images = Array.from({ length: 50 }, (_, index) => imageOf(`${index}`, size));
    const answers = await Promise.all(images.map((image) => upload(program.downloadPort, fileid, image)));
    const winners = answers.flatMap(({ code }, index) => (code === 0 ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(answers.filter(({ code }) => code === -1886)).toHaveLength(49);
    const kept = await download(program.downloadPort, fileid);
    expect(kept?.equals(images[winners[0] ?? -1] ?? Buffer.alloc(0))).toBe(true);
  }
});

test("hundreds of uploads with kill -9 in between leave the acknowledged ones equal, the others whole or absent", async () => {
  const installation = await prepare();
  const acknowledged = new Map<string, Buffer>();
  const sent = new Map<string, Buffer>();
  const refused = new Set<string>();
  for (let round = 0; round < 4; round += 1) {
    const program = await start(installation);
    let isOver = false;
    const work = async (worker: number) => {
      for (let count = 0; count < 60 && !isOver; count += 1) {
        const fileid = `r${round}/w${worker}/${count}.jpg`;
        // Some are stored in packs, some in files of their own, and some are equal to others.
        const image = imageOf(count % 7 === 0 ? "equal" : fileid, count % 3 === 0 ? 300_000 : 0);
        sent.set(fileid, image);
        const answer = await upload(program.downloadPort, fileid, image).catch(() => undefined);
        if (answer?.code === 0) acknowledged.set(fileid, image);
        else if (answer !== undefined) refused.add(fileid);
      }
    };
    const workers = Array.from({ length: 8 }, (_, worker) => work(worker));
    await eventually(() => acknowledged.size >= (round + 1) * 60, "uploads are acknowledged", 40_000);
    await elapse(37 * round);
    await program.kill();
    isOver = true;
    await Promise.all(workers);
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(240);
  const program = await start(installation);
  for (const [fileid, image] of sent) {
    const kept = await download(program.downloadPort, fileid);
    if (acknowledged.has(fileid) || kept !== undefined) expect([fileid, kept?.equals(image)]).toEqual([fileid, true]);
    if (refused.has(fileid)) expect([fileid, kept]).toEqual([fileid, undefined]);
  }
  expect((await readdir(join(installation.data, "spool"))).length).toBe(0);
});

test("silently damaged bytes are not reused for a new upload of the same image", async () => {
  const installation = await prepare();
  let program = await start(installation);
  const image = imageOf("damaged", 400_000);
  expect(await upload(program.downloadPort, "first.jpg", image)).toMatchObject({ code: 0 });
  await program.kill();
  await flipOneBit(join(installation.data, "blobs"));
  program = await start(installation);
  expect(await upload(program.downloadPort, "second.jpg", image)).toMatchObject({ code: 0 });
  expect((await download(program.downloadPort, "second.jpg"))?.equals(image)).toBe(true);
});

describe("a disk without room", needs("tmpfs"), () => {
  test("uploads, copies and deletes fail with their codes, store nothing partially, and work again once there is room", async () => {
    const installation = await prepare({ freeDisk: "0MB" });
    const { unmount } = await mountSmall(installation.data, "8m");
    clean.push(unmount);
    const program = await start(installation);
    const { downloadPort: port } = program;
    const kept = imageOf("kept", 300_000);
    expect(await upload(port, "kept.jpg", kept)).toMatchObject({ code: 0 });
    // 3 MB each: the third does not fit by any way of uploading.
    const codes: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      codes.push((await upload(port, `big-${count}.jpg`, imageOf(`${count}`, 3_000_000))).code);
    }
    expect(codes).toContain(-5989);
    expect(codes.at(-1)).toBe(-5989);
    for (const [count, code] of codes.entries()) {
      const body = await download(port, `big-${count}.jpg`);
      expect(body?.equals(imageOf(`${count}`, 3_000_000))).toBe(code === 0 ? true : undefined);
    }
    // Slices use the same disk.
    const form = (fields: Record<string, string | Buffer>) =>
      makeForm(Object.entries({ op: "upload_slice", ...fields }).map(([name, content]) => ({ name, content })));
    const packet = (fields: Record<string, string | Buffer>) =>
      callApi({ port, path: "/slices.jpg", form: form(fields), sign: uploadToken() });
    const size = 9_000_000;
    const begun = await packet({ sha: "0".repeat(40), filesize: String(size), slice_size: "3000000" });
    const session = String(begun.data.session);
    const answers: number[] = [];
    for (let offset = 0; offset < size && answers.at(-1) !== -5989; offset += 3_000_000) {
      const { code } = await packet({ session, offset: String(offset), fileContent: Buffer.alloc(3_000_000) });
      answers.push(code);
    }
    expect(answers.at(-1)).toBe(-5989);
    expect(await stat(port, "slices.jpg")).toMatchObject({ code: -197 });
    expect((await download(port, "kept.jpg"))?.equals(kept)).toBe(true);
    // Full to the last byte: the catalogue cannot be written either.
    await fillDisk(join(installation.data, "filler"));
    const spent = [await operate(port, "copy", "kept.jpg"), await operate(port, "del", "kept.jpg")];
    expect(spent.map(({ status, code }) => [status, code])).toEqual([
      [400, -199],
      [400, -190],
    ]);
    expect((await download(port, "kept.jpg"))?.equals(kept)).toBe(true);
    await rm(join(installation.data, "filler"));
    await eventually(async () => (await operate(port, "del", "kept.jpg")).code === 0, "the disk has room again");
    expect(await upload(port, "kept.jpg", kept)).toMatchObject({ code: 0 });
  });
});

/** Flips one bit of the only file below a folder. */
async function flipOneBit(folder: string): Promise<void> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(files).toHaveLength(1);
  const file = await open(join(files[0]?.parentPath ?? "", files[0]?.name ?? ""), "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 200_000);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, 200_000);
  await file.close();
}
