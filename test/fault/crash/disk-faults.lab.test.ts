// The disk fails under the whole program, or is full: clients still get their images, and no stored object is lost.
// Images that could not be stored are stored once the disk works again, without a restart. It is long because all disk
// faults share their set-up.
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../src/core/log.ts";
import { writeRecoveryFile } from "../../../src/serve/mirror/storing/recovery-file.ts";
import { get } from "../../helpers/get.ts";
import { storedLab } from "../../helpers/mirror-lab.ts";
import { eventually, type Program } from "../../helpers/program.ts";
import { sendRaw } from "../../helpers/raw.ts";
import { needs } from "../../helpers/services.ts";
import { testPool } from "../../helpers/spools.ts";
import { infoOf, wholeBodyInFile } from "../../helpers/whole-body.ts";
import { breakDisk, fillDisk, makeReadOnly, mountSmall } from "./broken-disk.ts";
import {
  bodyOf,
  downloadRight,
  FROM_BUCKET,
  type Mirrored,
  notStored,
  prepareMirrored,
  readiness,
} from "./mirrored.ts";
import type { DiskCall } from "./run-child.ts";
import { visitsEveryPoint } from "./sweep.ts";

const clean: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});

async function begin(limits: object = {}): Promise<Mirrored> {
  const mirrored = await prepareMirrored(limits);
  clean.push(() => mirrored.close());
  return mirrored;
}

async function start({ installation }: Mirrored): Promise<Program> {
  const program = await installation.start();
  clean.push(() => program.kill());
  return program;
}

/** Downloads the image until it comes from the bucket; each response must be right. */
async function stored(program: Program, path: string): Promise<void> {
  await eventually(async () => (await downloadRight(program, path)) === FROM_BUCKET, `${path} is stored`);
}

const WRITES: readonly DiskCall[] = [
  "pwrite64",
  "pwritev",
  "fsync",
  "fdatasync",
  "rename",
  "mkdir",
  "unlink",
  "ftruncate",
];

interface DiskFault {
  readonly calls: readonly DiskCall[];
  readonly errno: string;
  /** The code in /readyz during the fault; undefined if its small test write does not use the failing call. */
  readonly code: "store_failed" | "store_full" | undefined;
}

const ALL_FAULTS: readonly DiskFault[] = [
  { calls: ["fsync", "fdatasync"], errno: "EIO", code: "store_failed" },
  { calls: ["fsync", "fdatasync"], errno: "ENOSPC", code: "store_full" },
  { calls: ["rename"], errno: "EIO", code: undefined },
  { calls: ["rename"], errno: "ENOSPC", code: undefined },
  { calls: ["pwrite64", "pwritev"], errno: "EIO", code: "store_failed" },
  { calls: ["pwrite64", "pwritev"], errno: "ENOSPC", code: "store_full" },
  { calls: WRITES, errno: "EROFS", code: "store_failed" },
];

function codeOf({ errno }: DiskFault): string {
  return errno === "ENOSPC" ? "store_full" : "store_failed";
}

/** At every commit: each kind of call with one of the errors. */
const FAULTS = visitsEveryPoint() ? ALL_FAULTS : ALL_FAULTS.filter((_, index) => [0, 3, 5, 6].includes(index));

describe("system calls that fail", needs("strace"), () => {
  test.each(FAULTS)("$errno from $calls.0 fails no client, and all is stored once the disk works", async (fault) => {
    const mirrored = await begin();
    const program = await start(mirrored);
    for (const path of ["/small-before-1", "/large-before-1"]) await stored(program, path);

    const repair = await breakDisk(program.pid, fault);
    clean.push(repair);
    for (const path of ["/small-during-2", "/large-during-2"]) await downloadRight(program, path);
    for (const path of ["/small-before-1", "/large-before-1"])
      expect(await downloadRight(program, path)).toBe(FROM_BUCKET);
    const { status, text } = await readiness(program);
    // With a full disk the program stays ready and reports it; if the store cannot be written, it is not ready.
    expect(status).toBe(fault.code === "store_failed" ? 503 : 200);
    expect(text).toContain(fault.code ?? "");
    // The large image is lost: it has no spool file, or one that must not be trusted any more. All others are
    // retried.
    const lost = fault.calls.some((call) => call === "fsync" || call === "pwritev") ? 1 : 0;
    await eventually(async () => (await notStored(program, codeOf(fault))) === lost, "what is lost is counted");

    await repair();
    await eventually(async () => !(await readiness(program)).text.includes("store_"), "the store is well again");
    for (const path of ["/small-during-2", "/large-during-2"]) await stored(program, path);
    await program.kill();

    const asked = mirrored.origin.requests.length;
    const next = await start(mirrored);
    for (const path of ["/small-before-1", "/large-before-1", "/small-during-2", "/large-during-2"]) {
      expect(await downloadRight(next, path)).toBe(FROM_BUCKET);
    }
    expect(mirrored.origin.requests.length).toBe(asked);
    expect(await next.stop()).toBe(0);
  });
});

test("EIO from reads makes the program fetch those objects again, and nothing is lost", needs("strace"), async () => {
  const mirrored = await begin();
  const program = await start(mirrored);
  const paths = ["/small-before-1", "/large-before-1"];
  for (const path of paths) await stored(program, path);

  // The files are open already, because they were just read; any thread may read them.
  const files = ["packs", "blobs"].flatMap((name) => filesBelow(join(mirrored.installation.data, name)));
  const repair = await breakDisk(program.pid, { calls: ["pread64"], errno: "EIO", files });
  clean.push(repair);
  const asked = mirrored.origin.requests.length;
  for (const path of paths) expect(await downloadRight(program, path)).toMatch(/fwd=uri-miss/);
  expect(mirrored.origin.requests.length).toBe(asked + paths.length);

  await repair();
  for (const path of paths) expect(await downloadRight(program, path)).toBe(FROM_BUCKET);
  expect(mirrored.origin.requests.length).toBe(asked + paths.length);
});

describe("a small file system", needs("tmpfs"), () => {
  async function onSmallDisk(limits: object, size = "8m"): Promise<Mirrored> {
    const mirrored = await begin(limits);
    const { unmount } = await mountSmall(mirrored.installation.data, size);
    clean.push(unmount);
    return mirrored;
  }

  test.each([
    ["full to the last byte", { freeDisk: "0MB" }],
    ["fuller than freeDisk allows", { freeDisk: "2MB" }],
  ])("%s, the disk fails no client, and all is stored once there is room", async (_, limits) => {
    const mirrored = await onSmallDisk(limits);
    const program = await start(mirrored);
    await stored(program, "/small-before-1");

    const filler = join(mirrored.installation.data, "filler");
    const isFull = limits.freeDisk === "0MB";
    const room = isFull ? Number.POSITIVE_INFINITY : 6_500_000;
    await fill(filler, room);
    for (const path of ["/small-during-2", "/large-during-2"]) await downloadRight(program, path);
    expect(await downloadRight(program, "/small-before-1")).toBe(FROM_BUCKET);
    await eventually(async () => (await readiness(program)).text.includes("store_full"), "store_full is told");
    // Bodies in memory or in a spool file are retried; on a full disk the large image got no spool file.
    const lost = isFull ? 1 : 0;
    await eventually(async () => (await notStored(program, "store_full")) === lost, "what is lost is counted");

    await rm(filler);
    await eventually(async () => !(await readiness(program)).text.includes("store_"), "the store is well again");
    for (const path of ["/small-during-2", "/large-during-2"]) await stored(program, path);
    expect(await program.stop()).toBe(0);
  });

  test("writeRecoveryFile() on a full disk writes the whole note or none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "notes-"));
    const { unmount } = await mountSmall(folder, "64k");
    clean.push(() => rm(folder, { recursive: true }), unmount);
    const body = wholeBodyInFile(Buffer.alloc(100), join(folder, "one.part"));
    await fillDisk(join(folder, "filler"));
    const task = { stored: storedLab().stored, info: infoOf("a.jpg", body), body, spool: testPool().open(), epoch: 0 };
    const told: unknown[] = [];
    const log = { ...SILENT_LOG, warn: (about: { readonly err?: unknown }) => void told.push(about.err) };
    expect(await writeRecoveryFile(task, log)).toBeUndefined();
    // The error is the store's own, not node's with its stack.
    expect(told).toEqual([expect.objectContaining({ code: "store_failed" })]);
    expect(readdirSync(folder)).not.toContain("one.part.json");
  });

  test("fuller than freeDisk allows, pending writes use a part of the free space and are stored once there is room", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "20MB" }, "40m");
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    const { data } = mirrored.installation;
    const filler = join(data, "filler");
    await fill(filler, 27_000_000);
    await eventually(async () => (await readiness(program)).text.includes("store_full"), "store_full is told");
    // 18 MB of bodies, 14 MB of free disk.
    const paths = Array.from({ length: 30 }, (_, index) => `/large-during-${index + 2}`);
    for (const path of paths) await downloadRight(program, path);
    const waits = () => filesBelow(join(data, "spool")).filter((path) => path.endsWith(".part"));
    const isCounted = async () => (await notStored(program, "store_full")) === paths.length - waits().length;
    await eventually(isCounted, "each is counted that does not wait");
    const bytes = waits().reduce((sum, path) => sum + statSync(path).size, 0);
    expect(bytes).toBeGreaterThan(2_000_000);
    expect(bytes).toBeLessThan(9_000_000);
    for (const path of paths) await downloadRight(program, path);

    await rm(filler);
    await eventually(() => filesBelow(join(data, "spool")).length === 0, "nothing waits any more", 60_000);
    for (const path of paths) await stored(program, path);
    expect(await program.stop()).toBe(0);
  }, 120_000);

  test("on a full disk, If-Match gets the matching version, and 412 at once for another", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    // The maximum number of concurrent fetches.
    const paths = Array.from({ length: 64 }, (_, index) => `/large-whole-${index + 2}`);
    await Promise.all(paths.map((path) => expectOneVersion(program, path)));
    for (const path of ["/small-during-2", "/large-during-2"]) await downloadRight(program, path);
  });

  test("on a full disk without spool memory, If-Match works for a small image too", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB", spoolMemory: "0" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    for (const path of ["/small-2", "/large-2"]) await expectOneVersion(program, path);
  });

  test("on a full disk, a request with If-Match gets 503 with Retry-After if memory has no room for the image", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    // 80 MB at once, of which 64 MiB fit.
    const paths = Array.from({ length: 10 }, (_, index) => `/wide-${index + 2}`);
    const headers = { "If-Match": '"a-version"' };
    const answers = await Promise.all(paths.map((path) => get({ port: program.downloadPort, path, headers })));
    for (const { status, headers: said } of answers) {
      expect([412, 503]).toContain(status);
      expect(said["retry-after"]).toEqual(status === 503 ? expect.stringMatching(/^\d+$/) : undefined);
    }
    expect(answers.map(({ status }) => status)).toContain(503);
    expect(mirrored.origin.requests.filter(({ target }) => target.startsWith("/wide"))).toHaveLength(paths.length);
    await expectOneVersion(program, "/large-2");
  });

  test("on a full disk, an HTTP/1.0 client gets a large image with Content-Length although the origin sent none", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    for (const path of ["/large-chunked-2", "/small-chunked-2"]) {
      const { status, head, body } = await sendRaw(program.downloadPort, `GET ${path} HTTP/1.0\r\n\r\n`);
      const length = /^Content-Length: (\d+)/im.exec(head)?.[1];
      const isRight = Buffer.from(body, "latin1").equals(bodyOf(path));
      expect([path, status, length, isRight]).toEqual([path, 200, String(bodyOf(path).length), true]);
    }
  });

  test("on a full disk, a large image with the digest of another never ends as whole", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    const ask = async (path: string, headers: Record<string, string> = {}) => {
      const { status, isWhole, headers: said } = await get({ port: program.downloadPort, path, headers });
      return { path, end: isWhole ? `${status} ${said["x-errno"]}` : "broken off" };
    };
    const paths = ["md5", "sha256"].flatMap((name) =>
      ["", "-late", "-chunked"].map((how) => `/large-wrong-${name}${how}-2`),
    );
    for (const path of paths) {
      const three = await Promise.all([ask(path), ask(path), ask(path)]);
      for (const { end } of three)
        expect({ path, end }).toEqual({ path, end: expect.stringMatching(/^broken off|-120$/) });
    }
    const lastBytes = { Range: "bytes=-100" };
    expect((await ask("/large-wrong-md5-late-3", lastBytes)).end).toBe("424 -120");
    const oneVersion = { "If-Match": '"a-version"' };
    expect((await ask("/large-wrong-md5-late-4", oneVersion)).end).toBe("412 -103");
    expect(await notStored(program, "store_full")).toBe(0);
  });

  test("on a full disk, large images get 503 or break off beyond 64 MiB at once; hits and small ones go on", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    const filler = join(mirrored.installation.data, "filler");
    await fill(filler, Number.POSITIVE_INFINITY);
    const ask = (path: string) => get({ port: program.downloadPort, path, deadlineMs: 40_000 });
    // 96 MB at once, of which 8 images fit.
    const many = Array.from({ length: 12 }, (_, index) => `/wide-held-${index + 2}`);
    const asked = Promise.all(many.map(ask));
    await eventually(async () => (await spoolBytes(program)) > 63_000_000, "8 images are in memory", 20_000);
    const late = await ask("/wide-20");
    expect([late.status, late.headers["x-errno"], late.headers["retry-after"]]).toEqual([503, "-902", "1"]);
    expect(await downloadRight(program, "/small-before-1")).toBe(FROM_BUCKET);
    for (let number = 2; number < 12; number += 1) await downloadRight(program, `/small-during-${number}`);
    mirrored.sendHeld();
    const answers = await asked;
    const whole = answers.filter(({ isWhole, status }) => isWhole && status === 200);
    for (const { body } of whole) expect(body.equals(bodyOf("/wide"))).toBe(true);
    expect(whole).toHaveLength(8);
    for (const { isWhole, status } of answers) if (isWhole) expect([200, 503]).toContain(status);

    // Their memory is free again, and nothing of them is stored.
    await Promise.all(many.slice(0, 6).map((path) => downloadRight(program, path)));
    await rm(filler);
    await eventually(async () => !(await readiness(program)).text.includes("store_"), "the store is well again");
    await stored(program, "/large-after-2");
  }, 60_000);

  test("on a full disk, every request that joins the fetch of a large image gets its bytes, at any time and for any range", async () => {
    const mirrored = await onSmallDisk({ freeDisk: "0MB" });
    const program = await start(mirrored);
    await stored(program, "/small-before-1");
    await fill(join(mirrored.installation.data, "filler"), Number.POSITIVE_INFINITY);
    const requestHeaders: Record<string, string>[] = [
      { Range: "bytes=0-9,20-29" },
      {},
      { Range: "bytes=500000-500099" },
      { Range: "bytes=-100" },
      { Range: "bytes=3-4,590000-590009", "If-None-Match": '"a-version"' },
      { Range: "bytes=0-9", "If-Range": '"a-version"' },
      { "If-Match": "*", "If-Modified-Since": "Fri, 01 Jan 2016 00:00:00 GMT" },
    ];
    const ask = async (path: string, headers: Record<string, string>, after: number) => {
      await delay(after);
      const { status, body, headers: said, isWhole } = await get({ port: program.downloadPort, path, headers });
      const [, start = 0, end = Number.POSITIVE_INFINITY] =
        /bytes (\d+)-(\d+)\//.exec(said["content-range"] ?? "") ?? [];
      const isRight = body.equals(bodyOf(path).subarray(Number(start), Number(end) + 1));
      expect([200, 206]).toContain(status);
      expect({ path, headers, status, isWhole, isRight }).toMatchObject({ isWhole: true, isRight: true });
    };
    for (let round = 2; round < 8; round += 1) {
      const each = requestHeaders.flatMap((headers) =>
        [0, 2, 5, 9].map((ms) => ask(`/large-race-${round}`, headers, ms)),
      );
      await Promise.all(each);
    }
  });

  test.each([
    ["full to the last byte", { freeDisk: "0MB" }, "8m", Number.POSITIVE_INFINITY],
    ["fuller than freeDisk allows, with the room for what passes used up", { freeDisk: "20MB" }, "40m", 40_000_000],
  ])(
    "%s, the disk does not prevent processing of a large uncached image",
    async (_, limits, size, filled) => {
      const mirrored = await onSmallDisk(limits, size);
      const program = await start(mirrored);
      await stored(program, "/small-before-1");
      await fill(join(mirrored.installation.data, "filler"), filled);
      for (let number = 2; number < 12; number += 1) await downloadRight(program, `/large-${number}`);
      const make = async (path: string, instruction: string, after = 0) => {
        await delay(after);
        const { status, headers, body } = await get({ port: program.downloadPort, path: `${path}?${instruction}` });
        return { path, instruction, status, retry: headers["retry-after"], errNo: headers["x-errno"], body };
      };
      const alone = await make("/large-20", "imageMogr2/thumbnail/100x/format/png");
      expect([alone.status, alone.body.subarray(1, 4).toString()]).toEqual([200, "PNG"]);
      const facts = await make("/large-21", "imageInfo");
      expect([facts.status, JSON.parse(facts.body.toString())]).toEqual([
        200,
        expect.objectContaining({ width: "400" }),
      ]);

      const instructions = [
        "imageMogr2/thumbnail/50x",
        "imageMogr2/thumbnail/60x",
        "imageMogr2/thumbnail/70x",
        "imageInfo",
      ];
      for (let round = 30; round < 36; round += 1) {
        const path = `/large-race-${round}`;
        const plain = [0, 3, 7].map(async (ms) => {
          await delay(ms);
          return get({ port: program.downloadPort, path });
        });
        const each = instructions.flatMap((instruction) => [0, 2, 5, 9].map((ms) => make(path, instruction, ms)));
        for (const { body: _body, ...answer } of await Promise.all(each)) expect(answer).toMatchObject({ status: 200 });
        for (const { status } of await Promise.all(plain)) expect(status).toBe(200);
      }
    },
    60_000,
  );

  test("a start on a read-only disk is refused with a message that says so", async () => {
    const mirrored = await onSmallDisk({});
    await (await start(mirrored)).stop();
    makeReadOnly(mirrored.installation.data);
    await expect(start(mirrored)).rejects.toThrow(/ended \(1\)[\s\S]*must be a folder that this user may write to/);
  });
});

/** If-Match with another version gets 412; with the image's own version it gets the image. */
async function expectOneVersion(program: Program, path: string): Promise<void> {
  const ask = (headers: Record<string, string>) =>
    get({ port: program.downloadPort, path, headers, deadlineMs: 20_000 });
  const other = await ask({ "If-Match": '"a-version"' });
  expect([path, other.status, other.headers["x-errno"]]).toEqual([path, 412, "-103"]);
  const etag = `"${createHash("sha256").update(bodyOf(path)).digest("hex").slice(0, 32)}"`;
  const same = await ask({ "If-Match": etag });
  const isRight = same.isWhole && same.body.equals(bodyOf(path));
  expect([path, same.status, same.headers.etag, isRight]).toEqual([path, 200, etag, true]);
}

/** Bytes of arriving bodies in memory. */
async function spoolBytes(program: Program): Promise<number> {
  const { body } = await get({ port: program.adminPort, path: "/metrics", host: "127.0.0.1" });
  return Number(/^huiyuan_spool_memory_bytes (\S+)/m.exec(body.toString())?.[1]);
}

/** Writes zeros until `room` bytes are written or the disk is full. */
async function fill(path: string, room: number): Promise<void> {
  const chunk = Buffer.alloc(65_536);
  try {
    for (let written = 0; written < room; written += chunk.length) await writeFile(path, chunk, { flag: "a" });
    return;
  } catch {
    // The disk is full to within a chunk.
  }
  try {
    for (;;) await writeFile(path, Buffer.alloc(512), { flag: "a" });
  } catch {
    // The disk is full to the last byte.
  }
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
