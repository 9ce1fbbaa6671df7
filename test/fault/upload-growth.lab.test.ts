// Sends thousands of uploads through one server, stored and refused. Afterwards it holds no more memory and descriptors
// than after fewer of them. Runs the whole built program; `npm run lab:full` sends at least 10,000 of each.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAtRest, type Sample, settled, takeSample, type Watched } from "../bench/sampling.ts";
import { openUploads, type UploadAnswer, type UploadConnection } from "../bench/upload-client.ts";
import { noisyJpeg, segment } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { fileForm, type MadeForm, makeForm, tokenFor, uploadToken } from "../helpers/rest-api.ts";
import { APPID, KEYS } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

/** Uploads stored in one round; as many others are refused or cut off. */
const UPLOADS = process.env.HUIYUAN_LAB === "1" ? 5_000 : 1_000;
/**
 * A leak grows in every round. An allocator or a heap on a busy machine grows in only one or two, until it reaches its
 * size.
 */
const MAX_ROUNDS = 5;
const AT_ONCE = 16;
const MB = 1_000_000;
const LOOKS = 6;
const LOOK_MS = 1_000;
/** Maximum growth in one round; keeping a request or a body for each call would exceed it. */
const MAX_LIVE_GROWTH = 1.5 * MB;
/** SQLite keeps up to 16 MB of pages per connection, and the allocator's size varies. */
const MAX_RSS_GROWTH = 24 * MB;

const LEDGERS = ["operations.db", "usage.db"];

// Made once, because valid tokens are cached up to that cache's bound.
const EXPIRED = tokenFor({ life: 10, issuedAt: 1_700_000_000 });
const FOREIGN = uploadToken("", "none");
const WRONG = { ...KEYS[0], secretKey: KEYS[1].secretKey };

let jpeg: Buffer;
let token: string;
let installation: Installation;
let program: Program;
let watched: Watched;

beforeAll(async () => {
  jpeg = await noisyJpeg(48, 36);
  token = uploadToken();
  installation = await install({
    limits: { memory: "1MiB" },
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos" }] }],
  });
  const preload = new URL("../helpers/collect-garbage.mjs", import.meta.url).href;
  program = await installation.start({ nodeFlags: ["--expose-gc", `--import=${preload}`] });
  watched = { pid: program.pid, adminPort: program.adminPort, data: installation.data };
});

afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

/** A different picture for each index, because equal ones are stored once. */
function pictureOf(index: number): Buffer {
  const mark = segment(0xfe, createHash("md5").update(String(index)).digest());
  return Buffer.concat([jpeg.subarray(0, 2), mark, jpeg.subarray(2)]);
}

interface Call {
  readonly fileid: string;
  readonly form: MadeForm;
  readonly sign?: string;
  readonly bucket?: string;
  /** The declared Content-Length, if it differs from the form's. */
  readonly length?: number;
}

function requestOf({ fileid, form, sign = token, bucket = "photos", length }: Call): Buffer[] {
  const head = [
    `POST /photos/v2/${APPID}/${bucket}/0/${fileid} HTTP/1.1`,
    "Host: web.image.myqcloud.com",
    ...(sign === "" ? [] : [`Authorization: QCloud ${sign}`]),
    `Content-Type: ${form.contentType}`,
    `Content-Length: ${length ?? form.body.byteLength}`,
  ].join("\r\n");
  return [Buffer.from(`${head}\r\n\r\n`), form.body];
}

const nameOf = (index: number) => `stored-${index}.jpg`;

type Refusal = readonly [code: number, make: (index: number) => Omit<Call, "fileid"> & { readonly fileid?: string }];

/** Used in turn. Each uses bytes that no stored object has. */
const REFUSALS: readonly Refusal[] = [
  [-81, (index) => ({ form: fileForm(pictureOf(index)), sign: "" })],
  [-5998, (index) => ({ form: fileForm(pictureOf(index)), sign: Buffer.alloc(60, `${index}`).toString("base64") })],
  [-97, (index) => ({ form: fileForm(pictureOf(index)), sign: tokenFor({ life: 3_600, key: WRONG }) })],
  [-96, (index) => ({ form: fileForm(pictureOf(index)), sign: EXPIRED })],
  [-1886, (index) => ({ form: fileForm(pictureOf(index)), fileid: nameOf(0) })],
  [-1893, (index) => ({ form: fileForm(pictureOf(index).subarray(0, 1_000)) })],
  [-1893, (index) => ({ form: fileForm(Buffer.from(`<html>${index}</html>`)) })],
  [-1898, (index) => ({ form: fileForm(pictureOf(index), { Md5: "0".repeat(32) }) })],
  [-5995, () => ({ form: fileForm(Buffer.alloc(0)) })],
  [-5990, (index) => ({ form: makeForm([{ name: "MagicContext", content: String(index) }]) })],
  [-5993, (index) => ({ form: cut(fileForm(pictureOf(index))) })],
  [-5992, (index) => ({ form: fileForm(pictureOf(index), { MagicContext: "m".repeat(20_000) }) })],
  [-1894, (index) => ({ form: fileForm(pictureOf(index)), bucket: "none", sign: FOREIGN })],
  [-5994, (index) => ({ form: fileForm(pictureOf(index), { op: `do-${index}` }) })],
  [-5983, (index) => ({ form: makeForm([...SLICE, { name: "session", content: `none-${index}` }]) })],
];
const SLICE = [
  { name: "op", content: "upload_slice" },
  { name: "offset", content: "0" },
  { name: "fileContent", content: "abc" },
];

/** Removes the last boundary. */
function cut({ contentType, body }: MadeForm): MadeForm {
  return { contentType, body: body.subarray(0, -40) };
}

/** Every tenth refused client disconnects in the middle instead. */
const LEAVES_EVERY = 10;

/** One client; reconnects if the server has closed the connection. */
async function client(next: () => number | undefined): Promise<void> {
  let connection = openUploads(program.downloadPort);
  const send = (request: readonly Buffer[]): Promise<UploadAnswer> => {
    if (!connection.isOpen) connection = openUploads(program.downloadPort);
    return connection.send(request);
  };
  for (let index = next(); index !== undefined; index = next()) {
    const stored = await send(requestOf({ fileid: nameOf(index), form: fileForm(pictureOf(index)) }));
    expect(JSON.parse(stored.body)).toMatchObject({ code: 0, data: { fileid: nameOf(index) } });
    const fileid = `refused-${index}.jpg`;
    if (index % LEAVES_EVERY === 0) await leave({ fileid, form: cut(fileForm(pictureOf(-index))) });
    else {
      const [code, make] = REFUSALS[index % REFUSALS.length]!;
      const refused = await send(requestOf({ fileid, ...make(-1 - index) }));
      expect([refused.status, JSON.parse(refused.body).code], refused.body).toEqual([400, code]);
    }
  }
  connection.close();
}

/** Sends a part of a body, and disconnects after the server has had time to read it. */
async function leave(call: Call): Promise<void> {
  const connection: UploadConnection = openUploads(program.downloadPort);
  const answer = connection.send(requestOf({ ...call, length: call.form.body.byteLength + 1_000 }));
  setTimeout(connection.close, 20);
  await expect(answer).rejects.toThrow("ended before a whole answer");
}

async function runTo(end: number, from: number): Promise<void> {
  let index = from;
  const next = () => (index < end ? index++ : undefined);
  await Promise.all(Array.from({ length: AT_ONCE }, () => client(next)));
}

interface Held {
  /** The main thread's JavaScript heap and external buffers, bytes. */
  readonly live: number;
  readonly rss: number;
}

/**
 * Memory in use at rest after garbage collection: the minimum of a few measurements, because notes may wait up to 5 s.
 */
async function heldAtRest(start: Sample): Promise<Held> {
  const sample = await settled(watched, start, performance.now(), 15_000);
  expect(isAtRest(sample, start), JSON.stringify({ start, sample })).toBe(true);
  const looks: Held[] = [];
  while (looks.length < LOOKS) {
    await delay(LOOK_MS);
    looks.push(await collected());
  }
  return { live: Math.min(...looks.map(({ live }) => live)), rss: Math.min(...looks.map(({ rss }) => rss)) };
}

async function collected(): Promise<Held> {
  const said = () => [...program.output.matchAll(/^left (.*)$/gm)];
  const before = said().length;
  process.kill(program.pid, "SIGUSR2");
  await eventually(() => said().length > before, "garbage is collected");
  const { heapUsed, external, rss } = JSON.parse(said().at(-1)?.[1] ?? "{}");
  return { live: heapUsed + external, rss };
}

test("thousands of small uploads and as many refused ones leave memory and descriptors as they were", async () => {
  await runTo(1, 0); // one stored upload, which some refused ones need
  await runTo(100, 1);
  // These stay open once opened, so the test waits for them.
  const isOpen = () => LEDGERS.every((name) => existsSync(join(installation.data, `${name}-shm`)));
  await eventually(isOpen, "the ledgers are open");
  const start = await settled(watched, { ...(await takeSample(watched, 0)), sockets: 0 }, performance.now(), 1_000);
  await runTo(UPLOADS, 100);
  const rounds = [await heldAtRest(start)];
  do {
    await runTo((rounds.length + 1) * UPLOADS, rounds.length * UPLOADS);
    rounds.push(await heldAtRest(start));
  } while (hasGrown(rounds) && rounds.length < MAX_ROUNDS);
  expect(keysIn(installation.data, `${APPID}/photos`)).toHaveLength(rounds.length * UPLOADS);
  expect(hasGrown(rounds), JSON.stringify(rounds)).toBe(false);
  expect(program.output).not.toMatch(/"level":(50|60)/);
}, 600_000);

/** True if memory grew in the last round. */
function hasGrown(rounds: readonly Held[]): boolean {
  const [before, after] = [rounds.at(-2)!, rounds.at(-1)!];
  return after.live - before.live > MAX_LIVE_GROWTH || after.rss - before.rss > MAX_RSS_GROWTH;
}
