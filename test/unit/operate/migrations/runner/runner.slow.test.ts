// The runner with a scripted source, a journal on disk and a store in memory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CancellationSource } from "../../../../../src/async/cancellation.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { createFilters } from "../../../../../src/operate/migrations/config/filters.ts";
import { type Journal, openJournal } from "../../../../../src/operate/migrations/journal/journal.ts";
import { readFailed } from "../../../../../src/operate/migrations/journal/reading.ts";
import { type RunEnd, type RunOptions, runMigration } from "../../../../../src/operate/migrations/runner/runner.ts";
import type { Source, SourceObject } from "../../../../../src/operate/migrations/source.ts";
import type { Target } from "../../../../../src/operate/migrations/target.ts";
import { createStoreTarget } from "../../../../../src/operate/migrations/targets/store.ts";
import { createBucket } from "../../../../../src/serve/bucket/contract/bucket.ts";
import type { OriginAnswer, OriginSink } from "../../../../../src/serve/origin/origin.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { createMemoryStore } from "../../../../helpers/memory-store.ts";
import { testPool } from "../../../../helpers/spools.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

let dir: string;
let journal: Journal;
let jpeg: Buffer;
const bucket = () => createBucket({ driver: createMemoryStore().bucket("1/b"), now: Date.now, maxObjectBytes: 1e6 });
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-runner-"));
  journal = openJournal(join(dir, "jobs.db"), 3, 10);
  jpeg ??= await noisyJpeg(16, 16);
});
afterEach(() => {
  journal.close();
  rmSync(dir, { recursive: true });
});

type Script = (fileid: string, attempt: number) => Buffer | HuiyuanError | "hang" | undefined;

/** Answers as the script says. `requests`: the fileids in the order of the fetches. */
function scripted(names: readonly string[], script: Script, listing: "whole" | "fails" = "whole") {
  const requests: string[] = [];
  const source: Source = {
    isResumable: false,
    async *list() {
      const objects: SourceObject[] = names.map((fileid) => ({
        fileid,
        locator: `/${fileid}`,
        size: undefined,
        version: "1",
      }));
      yield { objects, failures: [], cursor: undefined };
      if (listing === "fails") throw new HuiyuanError("origin_status", "Cannot list: 500", { originStatus: 500 });
    },
    async fetch({ object: { fileid } }) {
      requests.push(fileid);
      const found = script(fileid, requests.filter((name) => name === fileid).length);
      if (found instanceof HuiyuanError) throw found;
      return found === undefined ? undefined : answer(found);
    },
    close: async () => undefined,
  };
  return { source, requests };
}

function answer(bytes: Buffer | "hang"): OriginAnswer {
  const body = {
    start(sink: OriginSink) {
      if (bytes === "hang") return;
      sink.data(Buffer.from(bytes));
      sink.end();
    },
    resume() {},
    destroy() {},
    over: new Promise<undefined>(() => undefined),
  };
  const plain = {
    url: "http://o/",
    size: bytes.length,
    framing: "length",
    digests: {},
    life: {},
    headers: {},
  } as const;
  const rest = { etag: undefined, lastModified: undefined, headMs: 0, desync: new CancellationSource() };
  return { ...plain, ...rest, isNotModified: false, body };
}

async function run(
  source: Source,
  target: Target,
  more: Partial<RunOptions> & { filter?: Readonly<Record<string, string>> } = {},
) {
  const filters = createFilters((name) => more.filter?.[name], []);
  journal.begin({});
  return runMigration({
    journal,
    source,
    target,
    filters,
    spools: testPool(),
    maxBytes: 1_000_000,
    acceptsSuspects: false,
    overwrite: "none",
    timeoutMs: 10_000,
    now: Date.now,
    concurrency: 4,
    requestsPerSecond: 0,
    bytesPerSecond: 0,
    retries: 0,
    rescans: false,
    retriesAll: false,
    stop: new AbortController().signal,
    kill: new AbortController().signal,
    listener() {},
    ...more,
  });
}

function storeTarget(store = bucket()): Target {
  return createStoreTarget({ bucket: store, put: store.put });
}

const MANY = Array.from({ length: 50 }, (_, index) => `${index}.jpg`);
const failures = () => {
  const found = readFailed(join(dir, "jobs.db"), 0, 1_000);
  return Object.fromEntries(found.map(({ fileid, log }) => [fileid, log]));
};
const clean: RunEnd = { scanFailure: undefined, abortReason: undefined };

test("everything that the filters let through is copied once, with the provenance of a migration", async () => {
  const store = bucket();
  const { source, requests } = scripted([...MANY, "no.txt"], () => jpeg);
  const filter = { "fileid.ignore.unless": ".*\\.jpg$", "sub.pattern": "^", "sub.replace": "new/" };
  expect(await run(source, storeTarget(store), { filter })).toEqual(clean);
  expect(requests.length).toBe(50);
  expect(journal.counters).toMatchObject({ submitted: 50, successful: 50, stored: 50, scanIgnored: 1 });
  const entry = await store.lookup(toKey("new/7.jpg"));
  expect(entry).toMatchObject({ state: "object", info: { provenance: { via: "migration", validated: undefined } } });
});

test("each failure has its text and stays out of the way of the others", async () => {
  const texts: Record<string, ReturnType<Script>> = {
    "gone.jpg": undefined,
    "500.jpg": new HuiyuanError("origin_status", "Cannot use", { originStatus: 500 }),
    "html.jpg": Buffer.from("<html>sorry</html>"),
    "cut.jpg": jpeg.subarray(0, -20),
    "lines.jpg": new HuiyuanError("origin_refused", "one\ntwo\u001b[31m"),
  };
  const { source } = scripted([...MANY, ...Object.keys(texts), "a/../b"], (name) =>
    name in texts ? texts[name] : jpeg,
  );
  await run(source, storeTarget());
  expect(journal.counters).toMatchObject({ successful: 50, failed: 6 });
  expect(failures()).toMatchObject({
    "gone.jpg": "[Errno 2] No such file or directory: '/gone.jpg'",
    "500.jpg": "HTTP response status code: 500",
    "html.jpg": expect.stringContaining("origin_not_image"),
    "cut.jpg": expect.stringContaining("--accept-suspect"),
    "lines.jpg": "one two [31m",
    "a/../b": expect.stringContaining("'.' or '..'"),
  });
});

test("--accept-suspect takes an image whose structure is wrong, and marks it", async () => {
  const store = bucket();
  const { source } = scripted(["cut.jpg"], () => jpeg.subarray(0, -20));
  await run(source, storeTarget(store), { acceptsSuspects: true });
  expect(await store.lookup(toKey("cut.jpg"))).toMatchObject({
    info: { isSuspect: true, provenance: { via: "migration" } },
  });
});

test("a transient failure is retried after a pause, any other is not", async () => {
  const { source, requests } = scripted(["busy.jpg", "none.jpg"], (name, attempt) => {
    if (name === "none.jpg") return undefined;
    return attempt < 3 ? new HuiyuanError("origin_status", "Cannot use", { originStatus: 503 }) : jpeg;
  });
  await run(source, storeTarget(), { retries: 2 });
  expect(requests.filter((name) => name === "busy.jpg").length).toBe(3);
  expect(requests.filter((name) => name === "none.jpg").length).toBe(1);
  expect(journal.counters).toMatchObject({ successful: 1, failed: 1 });
});

test("the next run tries new jobs first, then failed ones, except those that error.ignore.if matches", async () => {
  const names = ["ignored.jpg", "again.jpg", "c.jpg"];
  const refusal = (name: string) => new HuiyuanError("origin_unexpected", `refused ${name}`);
  const first = scripted(names, (name) => (name === "c.jpg" ? jpeg : refusal(name)));
  await run(first.source, storeTarget());
  const second = scripted([...names, "new.jpg"], () => jpeg);
  await run(second.source, storeTarget(), {
    rescans: true,
    concurrency: 1,
    filter: { "error.ignore.if": ".*ignored" },
  });
  expect(second.requests).toEqual(["new.jpg", "again.jpg"]);
  expect(journal.counters).toMatchObject({ submitted: 4, successful: 3, failed: 1, scanNew: 1, scanKnown: 3 });
});

test("a full store ends the run at once", async () => {
  const full = new HuiyuanError("store_full", "Cannot store: the disk is full");
  const target = { ...storeTarget(), put: () => Promise.reject(full) };
  const { abortReason } = await run(scripted(MANY, () => jpeg).source, target);
  expect(abortReason).toBe(full);
  expect(journal.counters.failed).toBe(0);
});

test("a hung object fails after its deadline, and the others are copied", async () => {
  const { source } = scripted(["hung.jpg", ...MANY], (name) => (name === "hung.jpg" ? "hang" : jpeg));
  await run(source, storeTarget(), { timeoutMs: 100, maxBytes: 16_384 });
  expect(journal.counters).toMatchObject({ successful: 50, failed: 1 });
  expect(failures()["hung.jpg"]).toContain("it took more than");
});

test("a hung target fails after the deadline, which names no URL of the source", async () => {
  const hung: Target = { ...storeTarget(), put: () => new Promise(() => undefined) };
  await run(scripted(["a.jpg"], () => jpeg).source, hung, { timeoutMs: 100, maxBytes: 16_384 });
  expect(failures()["a.jpg"]).toMatch(/^Cannot copy "a.jpg": it took more than \d s$/);
});

/** Lists nothing but the names, a page each. `listed`: called after each page. */
async function* unreported(names: readonly string[], listed = async (_name: string): Promise<void> => undefined) {
  for (const fileid of names) {
    const object = { fileid, locator: `/${fileid}`, size: undefined, version: undefined };
    yield { objects: [object], failures: [], cursor: undefined };
    await listed(fileid);
  }
}

test("objects are copied while the source is still listed", async () => {
  const store = bucket();
  const { source } = scripted([], () => jpeg);
  // Otherwise the listing would wait for ever.
  const untilStored = async (name: string) => {
    while ((await store.lookup(toKey(name))).state === "absent") await delay(1);
  };
  const listing: Source = { ...source, list: () => unreported(["a.jpg", "b.jpg", "c.jpg"], untilStored) };
  expect(await run(listing, storeTarget(store))).toEqual(clean);
  expect(journal.counters).toMatchObject({ submitted: 3, successful: 3 });
});

test("a second scan of a listing without sizes and times asks the source by the validators of each copy", async () => {
  const store = bucket();
  const asked: unknown[] = [];
  const versions = new Map(["a.jpg", "b.jpg"].map((name) => [name, { etag: '"1"', bytes: jpeg }]));
  const source: Source = {
    ...scripted([], () => jpeg).source,
    list: () => unreported([...versions.keys()]),
    async fetch({ object: { fileid }, unless }) {
      const { etag, bytes } = versions.get(fileid)!;
      asked.push([fileid, unless?.etag]);
      if (unless?.etag === etag) return { isNotModified: true } as Awaited<ReturnType<Source["fetch"]>>;
      return { ...answer(bytes), etag };
    },
  };
  await run(source, storeTarget(store), { concurrency: 1 });
  versions.set("b.jpg", { etag: '"2"', bytes: await noisyJpeg(20, 20) });
  await run(source, storeTarget(store), { concurrency: 1, rescans: true });
  expect(asked.slice(2)).toEqual([
    ["a.jpg", '"1"'],
    ["b.jpg", '"1"'],
  ]);
  expect(journal.counters).toMatchObject({
    successful: 2,
    stored: 3,
    same: 1,
    scanKnown: 2,
    bytes: expect.any(Number),
  });
  expect(await store.lookup(toKey("b.jpg"))).toMatchObject({ info: { provenance: { originEtag: '"2"' } } });
});

test("a reopened object is fetched without the target's validators", async () => {
  const store = bucket();
  const asked: unknown[] = [];
  const source: Source = {
    ...scripted(["a.jpg"], () => jpeg).source,
    async fetch({ unless }) {
      asked.push(unless?.etag);
      if (unless !== undefined) return { isNotModified: true } as Awaited<ReturnType<Source["fetch"]>>;
      return { ...answer(jpeg), etag: '"1"' };
    },
  };
  await run(source, storeTarget(store));
  for await (const job of journal.rows("all")) journal.settle({ job, outcome: "reopened" });
  journal.flush();
  await run(source, storeTarget(store));
  expect(asked).toEqual([undefined, undefined]);
  expect(journal.counters).toMatchObject({ successful: 1, same: 1 });
});

test("a listing that refuses the credentials ends the run: no object is taken for a failure", async () => {
  await run(scripted(MANY, () => "hang").source, storeTarget(), { kill: AbortSignal.timeout(50) });
  const refused = new HuiyuanError("origin_status", "Cannot list: 403", { originStatus: 403 });
  const forbidden = new HuiyuanError("origin_status", "Cannot use", { originStatus: 403 });
  const { source } = scripted(MANY, () => forbidden);
  // biome-ignore lint/correctness/useYield: it throws
  const list = async function* () {
    throw refused;
  };
  expect(await run({ ...source, list }, storeTarget(), { rescans: true })).toMatchObject({ scanFailure: refused });
  expect(journal.counters.failed).toBeLessThan(10);
  expect(journal.counters.submitted).toBe(50);
});

test("a listing that fails is reported, and what it has found is copied", async () => {
  const { scanFailure } = await run(scripted(MANY, () => jpeg, "fails").source, storeTarget());
  expect(scanFailure?.message).toBe("Cannot list: 500");
  expect(journal.counters).toMatchObject({ successful: 50, isScanning: 1 });
});

test("stop finishes what is in flight; kill does not, and the next run copies the rest", async () => {
  const store = bucket();
  const [stop, kill] = [new AbortController(), new AbortController()];
  const stopping = scripted(MANY, (_name, attempt) => {
    if (attempt === 1 && stopping.requests.length === 10) stop.abort();
    return jpeg;
  });
  expect(await run(stopping.source, storeTarget(store), { stop: stop.signal })).toEqual(clean);
  const { successful } = journal.counters;
  expect(successful).toBe(stopping.requests.length);
  expect(successful).toBeLessThan(50);
  const killing = scripted(MANY, () => "hang");
  setTimeout(() => kill.abort(new Error("killed")), 50);
  await run(killing.source, storeTarget(store), { kill: kill.signal });
  expect(journal.counters.failed).toBe(0);
  const last = scripted(MANY, () => jpeg);
  await run(last.source, storeTarget(store));
  expect(journal.counters).toMatchObject({ submitted: 50, successful: 50, failed: 0 });
});

test("other bytes at the target are a failure with -1886, equal ones are the same, a tombstone is respected", async () => {
  const store = bucket();
  const other = wholeBody(await noisyJpeg(20, 20));
  await store.put(infoOf("other.jpg", other, "upload"), other, { when: "absent" });
  const equal = wholeBody(jpeg);
  await store.put(infoOf("equal.jpg", equal, "mirror"), equal, { when: "absent" });
  await store.delete(toKey("deleted.jpg"), "test");
  const { source, requests } = scripted(["other.jpg", "equal.jpg", "deleted.jpg"], () => jpeg);
  await run(source, storeTarget(store));
  expect(requests).not.toContain("deleted.jpg");
  expect(journal.counters).toMatchObject({ stored: 0, same: 1, deleted: 1, failed: 1 });
  expect(failures()["other.jpg"]).toBe("message: 图片fileid已经存在, code: -1886, httpcode: 400");
  await run(source, storeTarget(store), { overwrite: "always", retriesAll: true });
  expect(journal.counters).toMatchObject({ stored: 1, failed: 0 });
  expect(await store.lookup(toKey("other.jpg"))).toMatchObject({ info: { size: jpeg.byteLength } });
});

test("results of copies that end late are in the journal when the run resolves", async () => {
  const target = storeTarget();
  const slow: Target = { ...target, put: (request) => delay(30).then(() => target.put(request)) };
  journal.close();
  journal = openJournal(join(dir, "jobs.db"), 1_000, 60_000);
  await run(scripted(MANY, () => jpeg).source, slow, { concurrency: 50 });
  expect(journal.counters.successful).toBe(50);
});
