// Sends SIGKILL before each system call by which a store changes the disk, from the first start to the last close.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needs, serviceAvailable } from "../../helpers/services.ts";
import { checkStore } from "./check-store.ts";
import { countCalls, type DiskCall, runChild, runWithFault } from "./run-child.ts";
import { allowedAfter, SCENARIO } from "./scenario.ts";
import { pick, visitsEveryPoint } from "./sweep.ts";

let parent: string;
let calls: ReadonlyMap<DiskCall, number>;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "huiyuan-kill-"));
  if (serviceAvailable("strace")) calls = await countCalls(join(parent, "count"), SCENARIO);
});

afterAll(() => rm(parent, { recursive: true }));

test("the scenario matches the model if nothing fails", async () => {
  const run = await runChild(join(parent, "calm"), SCENARIO);
  expect(run.reports.filter((report) => "failed" in report)).toEqual([]);
  expect(run.reports.at(-1)).toMatchObject({ done: SCENARIO.length - 1 });
  await checkStore(join(parent, "calm"), allowedAfter(SCENARIO, run));
});

test("kill -9 at any step of a put, overwrite, delete, copy, fill, sweep and start loses and tears nothing", {
  ...needs("strace"),
  timeout: visitsEveryPoint() ? 1_800_000 : 60_000,
}, async () => {
  const points = pick(calls, 12);
  expect(points.length).toBeGreaterThanOrEqual(12);
  for (const { call, when } of points) {
    const dir = join(parent, `${call}-${when}`);
    const run = await runWithFault(dir, SCENARIO, { call, when, what: "KILL" });
    expect(run.signal, `${call} ${when}`).toBe("SIGKILL");
    await checkStore(dir, allowedAfter(SCENARIO, run)).catch((error: unknown) => {
      throw new Error(`kill -9 at ${call} number ${when}`, { cause: error });
    });
    await rm(dir, { recursive: true });
  }
});
