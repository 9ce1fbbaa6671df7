// Sends SIGKILL before system calls by which a store before S3 changes the disk, while images wait for their upload and
// are deleted, purged, overwritten and copied meanwhile.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ScriptedS3, startScriptedS3 } from "../../helpers/scripted-s3.ts";
import { needs, serviceAvailable } from "../../helpers/services.ts";
import { readModel, show } from "./check-store.ts";
import { CONTROL, openStore, type S3Behind } from "./open-store.ts";
import { type ChildRun, countCalls, type DiskCall, runChild, runWithFault } from "./run-child.ts";
import { allowedAfter } from "./scenario.ts";
import type { Cell, Model, StoreOperation } from "./store-model.ts";
import { pick, visitsEveryPoint } from "./sweep.ts";

const put = (key: string, body: number, more: Partial<Extract<StoreOperation, { kind: "put" }>> = {}) =>
  ({ kind: "put", key, body, form: "buffer", condition: "absent", via: "mirror", ...more }) as const;

/** Every way in which a pending image ends: uploaded, deleted, purged, overwritten; and reads of it meanwhile. */
const SCENARIO: readonly StoreOperation[] = [
  { kind: "open" },
  { kind: "hold" },
  put("a", 1),
  put("b", 2, { form: "file" }),
  put("c", 3),
  put("d", 4),
  { kind: "fill", key: "e", body: 5 },
  { kind: "read", key: "e" },
  { kind: "purge", key: "d", hard: false },
  { kind: "release" },
  { kind: "delete", key: "a" },
  put("b", 6, { condition: "always", via: "upload" }),
  { kind: "purge", key: "c", hard: true },
  { kind: "copy", key: "d", to: "f", condition: "absent" },
  { kind: "settle" },
  { kind: "close" },
  { kind: "open" },
  { kind: "read", key: "e" },
  { kind: "delete", key: "e" },
  { kind: "undelete", key: "e" },
  put("e", 7),
  put("c", 8, { form: "file" }),
  { kind: "settle" },
  { kind: "close" },
];

let parent: string;
let s3: ScriptedS3;
let isHeld = false;
let runs = 0;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "huiyuan-pending-kill-"));
  s3 = await startScriptedS3();
  s3.failure = (method, name) => {
    if (name.startsWith(CONTROL)) isHeld = name === `${CONTROL}hold`;
    // This failure is not retried at once, and does not count as an outage.
    return isHeld && method === "PUT" ? { status: 404, code: "NoSuchBucket" } : undefined;
  };
});
afterAll(async () => {
  await s3.close();
  await rm(parent, { recursive: true });
});

/** A part of S3 that no other run uses. */
function nextPlace(): S3Behind {
  isHeld = false;
  runs += 1;
  const { url, region, accessKeyId, secretAccessKey } = s3;
  return { url, region, accessKeyId, secretAccessKey, prefix: `${runs}/` };
}

/**
 * The store is in an allowed state at once, and after the last upload, when another server finds the same in S3. Epochs
 * and stale copies are left out: a server knows its own alone, and a kill can come between S3's answer and its row.
 */
async function check(dir: string, place: S3Behind, run: ChildRun): Promise<void> {
  const allowed = allowedAfter(SCENARIO, run).map(plain);
  isHeld = true;
  const open = await openStore(dir, place);
  expect(allowed).toContain(plain(await readModel(open)));
  isHeld = false;
  await open.remote?.idle();
  const settled = plain(await readModel(open));
  expect(allowed).toContain(settled);
  await open.store.close();
  const elsewhere = await openStore(`${dir}-elsewhere`, place);
  expect(plain(await readModel(elsewhere))).toBe(settled);
  await elsewhere.store.close();
  await rm(`${dir}-elsewhere`, { recursive: true });
}

const plain = (model: Model) =>
  show(new Map([...model].map(([key, cell]) => [key, { ...cell, epoch: 0, isStale: false } as Cell])));

test("the scenario matches the model if nothing fails", async () => {
  const [dir, place] = [join(parent, "calm"), nextPlace()];
  const run = await runChild(dir, SCENARIO, { behind: place });
  expect(run.reports.filter((report) => "failed" in report)).toEqual([]);
  expect(run.reports.at(-1)).toMatchObject({ done: SCENARIO.length - 1 });
  await check(dir, place, run);
}, 60_000);

test("kill -9 at any step between the put of an image and its upload loses, tears and resurrects nothing", {
  ...needs("strace"),
  timeout: visitsEveryPoint() ? 3_600_000 : 240_000,
}, async () => {
  const calls: ReadonlyMap<DiskCall, number> = serviceAvailable("strace")
    ? await countCalls(join(parent, "count"), SCENARIO, nextPlace())
    : new Map();
  const points = pick(calls, 24);
  let kills = 0;
  for (const { call, when } of points) {
    const [dir, place] = [join(parent, `${call}-${when}`), nextPlace()];
    const run = await runWithFault(dir, SCENARIO, { call, when, what: "KILL" }, place);
    // Commits are grouped by time, so that a run may make fewer calls than the counted one.
    if (run.signal === "SIGKILL") kills += 1;
    await check(dir, place, run).catch((error: unknown) => {
      throw new Error(`kill -9 at ${call} number ${when}`, { cause: error });
    });
    await rm(dir, { recursive: true });
  }
  expect(kills).toBeGreaterThanOrEqual(points.length / 2);
});
