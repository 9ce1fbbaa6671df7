// Images that were read from the disk a moment ago are answered in one turn: with the same bytes, conditions, ranges
// and repairs as any other hit, and never an older state than the bucket's.
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

/** Together several times the memory cache, which is at its least size. */
const COUNT = 40;
/** The images before this one fit in memory. */
const FIRST = 12;
const HITS = /^huiyuan_fast_path_hits_total (\d+)$/m;

let image: Buffer;
let asked: string[];
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  image = await noisyJpeg(700, 500);
  expect(image.length).toBeGreaterThan(80_000);
  asked = [];
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    asked.push(target);
    // A comment of the image's own, so that no two images are the same blob.
    const comment = Buffer.from(`\xff\xfe\x00\x22${target.padEnd(32)}`, "latin1");
    await connection.send(response(Buffer.concat([image.subarray(0, 2), comment, image.subarray(2)])));
  });
  installation = await install(oneBucket(mirrorOf(origin.url), {}, { limits: { memory: "1MiB" } }));
  program = await installation.start();
  for (let index = 0; index < COUNT; index += 1) {
    const isStored = async () => /detail=(memory|bucket)/.test(`${(await ask(index)).headers["cache-status"]}`);
    await eventually(isStored, `/${index}.jpg is a hit`);
  }
});

afterAll(async () => {
  await program?.stop();
  await installation?.remove();
  await origin?.close();
});

/** The fast path leaves connections that are to be closed to node's server. */
const ask = (index: number, headers = {}, method = "GET") =>
  get({
    port: program.downloadPort,
    path: `/${index}.jpg`,
    headers: { Connection: "keep-alive", ...headers },
    method,
  });

const bytesOf = (index: number) =>
  Buffer.concat([
    image.subarray(0, 2),
    Buffer.from(`\xff\xfe\x00\x22${`/${index}.jpg`.padEnd(32)}`, "latin1"),
    image.subarray(2),
  ]);

async function fastPathHits(): Promise<number> {
  const { body } = await get({ port: program.adminPort, host: "127.0.0.1", path: "/metrics" });
  return Number(HITS.exec(body.toString())?.[1]);
}

/**
 * Asks for one image after the other until one is answered in one turn; a busy machine may refuse that for a while
 * (quick-reads.ts). The first images are in memory, and so is one that is asked for twice in a row.
 */
async function askAtOnce(headers = {}, method = "GET") {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const index = FIRST + (attempt % (COUNT - FIRST));
    const before = await fastPathHits();
    const answer = await ask(index, headers, method);
    const isAtOnce = (await fastPathHits()) > before;
    if (isAtOnce && answer.headers["cache-status"] !== "huiyuan; hit; detail=memory") return { index, ...answer };
  }
  throw new Error("no image was answered at once");
}

test("a second read from the disk is answered at once, byte by byte the same", async () => {
  const whole = await askAtOnce();
  expect([whole.status, whole.headers["cache-status"]]).toEqual([200, "huiyuan; hit; detail=bucket"]);
  expect(whole.body.equals(bytesOf(whole.index))).toBe(true);
  const range = await askAtOnce({ Range: "bytes=65530-65545" });
  expect([range.status, range.body.equals(bytesOf(range.index).subarray(65_530, 65_546))]).toEqual([206, true]);
  const head = await askAtOnce({}, "HEAD");
  expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, `${image.length + 36}`, 0]);
  const same = await askAtOnce({ "If-None-Match": "*" });
  expect([same.status, same.body.length]).toEqual([304, 0]);
  expect((await ask(COUNT - 1, { Range: "bytes=9999999-" })).status).toBe(416);
});

test("a purge and a delete are seen at once", async () => {
  const { index } = await askAtOnce();
  const before = asked.length;
  const change = async (operation: string) => {
    const body = JSON.stringify({ names: [`${index}.jpg`] });
    const headers = { "Content-Type": "application/json" };
    const url = `http://127.0.0.1:${program.adminPort}/api/v1/objects/${operation}`;
    return (await fetch(url, { method: "POST", headers, body })).text();
  };
  expect(await change("purge")).toContain('"changed":1,');
  expect([(await ask(index)).body.equals(bytesOf(index)), asked.slice(before)]).toEqual([true, [`/${index}.jpg`]]);
  expect(await change("delete")).toContain('"changed":1,');
  expect((await ask(index)).status).toBe(404);
});

test("bytes that have changed on the disk are never sent: the image is fetched again", async () => {
  await askAtOnce();
  const stored: number[] = [];
  for (let index = FIRST; index < COUNT; index += 1) {
    if ((await ask(index)).status === 200) stored.push(index);
  }
  expect(stored).toHaveLength(COUNT - FIRST - 1); // one was deleted above
  const folder = join(installation.data, "packs");
  for (const name of await readdir(folder)) {
    const file = await open(join(folder, name), "r+");
    const content = await file.readFile();
    for (const index of stored) {
      const at = content.indexOf(bytesOf(index));
      if (at >= 0) await file.write(Buffer.from([~content[at + 70_000]! & 255]), 0, 1, at + 70_000);
    }
    await file.close();
  }
  const before = asked.length;
  let fromMemory = 0;
  for (const index of stored) {
    const answer = await ask(index);
    expect([answer.status, answer.body.equals(bytesOf(index))]).toEqual([200, true]);
    if (answer.headers["cache-status"] === "huiyuan; hit; detail=memory") fromMemory += 1;
    else expect(asked.slice(before)).toContain(`/${index}.jpg`);
  }
  expect(fromMemory).toBeLessThan(stored.length / 2);
});
