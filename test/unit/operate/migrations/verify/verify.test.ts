// verify() with a scripted source and target, and a journal on disk.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTally } from "../../../../../src/operate/migrations/journal/database.ts";
import { type Journal, openJournal } from "../../../../../src/operate/migrations/journal/journal.ts";
import { type VerifyOptions, verify } from "../../../../../src/operate/migrations/verify/verify.ts";
import type { OriginAnswer, OriginSink } from "../../../../../src/serve/origin/origin.ts";

const FILTERS = { rename: (fileid: string) => fileid, isFinal: () => false };
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const md5 = (text: string) => createHash("md5").update(text).digest("hex");
let dir: string;
let journal: Journal;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-verify-"));
  journal = openJournal(join(dir, "jobs.db"), 100, 10);
  journal.begin({});
});
afterEach(() => {
  journal.close();
  rmSync(dir, { recursive: true });
});

/** The content of each object is its name. `look`: called before the target tells the name's hash. */
function options(names: readonly string[], look: (fileid: string) => Promise<unknown>): VerifyOptions {
  const body = (text: string) => ({
    start(sink: OriginSink) {
      sink.data(Buffer.from(text));
      sink.end();
    },
    resume() {},
    destroy() {},
  });
  return {
    ...{ journal, manifest: undefined, filters: FILTERS, sample: "100%" },
    ...{ concurrency: 8, requestsPerSecond: 0, bytesPerSecond: 0, retries: 0, timeoutMs: 60_000, maxBytes: 1_000 },
    stop: new AbortController().signal,
    source: {
      isResumable: false,
      async *list() {
        const objects = names.map((fileid) => ({ fileid, locator: `/${fileid}`, size: fileid.length, version: "1" }));
        yield { objects, failures: [], cursor: undefined };
      },
      fetch: async ({ object: { fileid } }) => ({ isNotModified: false, body: body(fileid) }) as OriginAnswer,
    },
    target: {
      isNear: false,
      async look(fileid) {
        await look(fileid);
        return { state: "object", size: fileid.length, md5: md5(fileid), validators: undefined };
      },
    },
  };
}

test("objects wait for those before them, so a manifest is in order, and at most 1,000 are held", async () => {
  const names = Array.from({ length: 1_500 }, (_, index) => String(index).padStart(4, "0"));
  let looked = 0;
  let open: (value?: unknown) => void = () => undefined;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  const added: string[] = [];
  const tally = createTally();
  const verifying = verify(
    {
      ...options(names.toReversed(), (fileid) => {
        looked += 1;
        return fileid === "0000" ? gate : Promise.resolve();
      }),
      manifest: { add: (key, hash) => added.push(`${key} ${hash}`) },
    },
    tally,
  );
  while (looked < 1_000) await delay(5);
  await delay(100);
  expect(looked).toBe(1_000);
  expect(added).toEqual([]);
  open();
  expect(await verifying).toBeUndefined();
  expect(tally).toMatchObject({ objects: 1_500, done: 1_500, equal: 1_500, hashed: 1_500 });
  expect(added).toEqual(names.map((name) => `${name} ${sha256(name)}`));
});

test("a journal that cannot be written ends it with the reason", async () => {
  const broken: Journal = {
    ...journal,
    get counters() {
      return journal.counters;
    },
    flush() {
      throw new Error("a broken disk");
    },
  };
  const found = await verify({ ...options(["a"], async () => undefined), journal: broken }, createTally());
  expect(found?.message).toContain("a broken disk");
});

test("an object whose digest the target does not report is unread, and is not fetched", async () => {
  const { source, target, ...rest } = options(["a"], async () => undefined);
  const look = async () => ({ ...(await target.look("a", rest.stop)), md5: undefined });
  const fetch = () => expect.unreachable();
  const tally = createTally();
  await verify({ ...rest, source: { ...source, fetch }, target: { ...target, look } as typeof target }, tally);
  expect(tally.findings.unread).toEqual({
    count: 1,
    first: [{ fileid: "a", reason: "the target reports no digest" }],
  });
});
