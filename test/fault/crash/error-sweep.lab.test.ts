// Makes each system call by which a store changes the disk fail once, with EIO or ENOSPC. The step reports the error
// and changes nothing, and the next step works.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needs } from "../../helpers/services.ts";
import { checkStore } from "./check-store.ts";
import { type ChildRun, countCalls, type DiskCall, type Injection, runWithFault } from "./run-child.ts";
import { allowedAfter, SCENARIO } from "./scenario.ts";
import { pick, visitsEveryPoint } from "./sweep.ts";

const CODES: Readonly<Record<string, readonly string[]>> = {
  EIO: ["store_failed"],
  // SQLite reports ENOSPC in a sync as an I/O error.
  ENOSPC: ["store_full", "store_failed"],
};

const MOST_USED: ReadonlySet<DiskCall> = new Set(["fsync", "pwrite64", "rename"]);

let parent: string;
let calls: ReadonlyMap<DiskCall, number>;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "huiyuan-errors-"));
  calls = await countCalls(join(parent, "count"), SCENARIO);
});

afterAll(() => rm(parent, { recursive: true }));

function checkReports({ reports }: ChildRun, { what }: Injection): void {
  expect(reports.at(-1)).not.toHaveProperty("begun");
  const failed = reports.filter((report) => "failed" in report);
  // At most one failure per thread: the event loop's, the pool's, and the writers' of the scenario's two starts.
  expect(failed.length, JSON.stringify(failed)).toBeLessThanOrEqual(4);
  for (const { code } of failed) expect(CODES[what], JSON.stringify(failed)).toContain(code);
}

const SWEEP = { ...needs("strace"), timeout: visitsEveryPoint() ? 1_800_000 : 60_000 };

test.each(["EIO", "ENOSPC"] as const)(
  "one %s from any call loses no acknowledged step, and the next step works",
  SWEEP,
  async (what) => {
    // ENOSPC takes the same code paths as EIO and differs only in the error code.
    const points = pick(calls, 9).filter(({ call }) => visitsEveryPoint() || what === "EIO" || MOST_USED.has(call));
    for (const { call, when } of points) {
      const fault = { call, when, what };
      const dir = join(parent, `${what}-${call}-${when}`);
      try {
        const run = await runWithFault(dir, SCENARIO, fault);
        expect(run.signal).toBeNull();
        checkReports(run, fault);
        await checkStore(dir, allowedAfter(SCENARIO, run));
      } catch (error) {
        throw new Error(`${what} at ${call} number ${when}`, { cause: error });
      }
      await rm(dir, { recursive: true });
    }
  },
);

test(
  "EIO followed by kill -9 keeps every acknowledged step, and the failed step entirely or not at all",
  SWEEP,
  async () => {
    const writes = new Map([...calls].filter(([call]) => ["fsync", "fdatasync", "pwrite64", "rename"].includes(call)));
    for (const { call, when } of pick(writes, 8)) {
      const dir = join(parent, `fatal-${call}-${when}`);
      const run = await runWithFault(dir, SCENARIO, { call, when, what: "EIO", isFatal: true });
      await checkStore(dir, allowedAfter(SCENARIO, run)).catch((error: unknown) => {
        throw new Error(`EIO at ${call} number ${when}, then kill -9`, { cause: error });
      });
      await rm(dir, { recursive: true });
    }
  },
);
