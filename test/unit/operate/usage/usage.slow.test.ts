import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createLedgers } from "../../../../src/ledger/ledger.ts";
import {
  type BucketSize,
  createUsage,
  dayOf,
  USAGE_PLAN,
  type Usage,
  type UsageOptions,
} from "../../../../src/operate/usage/usage.ts";
import { linesOf } from "../../../helpers/log-lines.ts";
import { eventually } from "../../../helpers/program.ts";

const BUCKET = "10001234/photos";
const DAY_MS = 86_400_000;
const EVER = { bucketId: undefined, from: "2000-01-01", to: "2100-01-01" };

let clock: number;
let sizes: BucketSize[];
let measurements: number;
let ledger: UsageOptions["ledger"];
let made: Usage[];
let log: ReturnType<typeof linesOf>;

beforeEach(async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-usage-"));
  [clock, sizes, measurements, made, log] = [Date.UTC(2026, 10, 25, 23, 59), [], 0, [], linesOf()];
  const ledgers = createLedgers({ dir, log });
  ledger = ledgers.open(USAGE_PLAN);
  return async () => {
    await Promise.all(made.map((usage) => usage.close()));
    await ledgers.close();
    await rm(dir, { recursive: true });
  };
});

function open(more: Partial<UsageOptions> = {}): Usage {
  const bucketSizes = async function* () {
    measurements += 1;
    yield* sizes;
  };
  const usage = createUsage({ ledger, bucketSizes, measureEveryMs: 600_000, log, now: () => clock, ...more });
  made.push(usage);
  return usage;
}

const good = (bytes = 0) => ({ isFailed: false, bytes });

test("days() has what was counted while an earlier write ran", async () => {
  const usage = open();
  usage.count(BUCKET, "upload", good());
  const earlier = usage.days(EVER);
  usage.count(BUCKET, "download", good());
  const [day] = await usage.days(EVER);
  expect(Object.keys(day?.operations ?? {}).sort()).toEqual(["download", "upload"]);
  await earlier;
});

test("count() sums by day, bucket and operation, across processes", async () => {
  const first = open();
  first.count(BUCKET, "download", good(10));
  first.count(BUCKET, "download", { isFailed: true, bytes: 0 });
  first.count(BUCKET, "upload", good(7));
  first.count("10001234/others", "delete", good());
  await first.close();
  const second = open();
  second.count(BUCKET, "download", good(5));
  expect(await second.days(EVER)).toEqual([
    {
      day: "2026-11-25",
      bucket: "10001234/others",
      operations: { delete: { requests: 1, failures: 0, bytes: 0 } },
    },
    {
      day: "2026-11-25",
      bucket: BUCKET,
      operations: {
        download: { requests: 3, failures: 1, bytes: 15 },
        upload: { requests: 1, failures: 0, bytes: 7 },
      },
    },
  ]);
  clock += 120_000;
  second.count(BUCKET, "download", good(1));
  expect((await second.days({ ...EVER, bucketId: BUCKET })).map(({ day }) => day)).toEqual([
    "2026-11-25",
    "2026-11-26",
  ]);
  expect((await second.days({ ...EVER, to: "2026-11-25" })).length).toBe(2);
  expect(await second.days({ ...EVER, from: "2026-11-27" })).toEqual([]);
});

test("counts and bucket sizes are written by a timer, within seconds", async () => {
  sizes = [{ bucketId: BUCKET, objects: 3, bytes: 99 }];
  const usage = open();
  usage.count(BUCKET, "download", good());
  const today = { bucket: null, from: "2026-11-25", to: "2026-11-25" };
  await eventually(async () => (await ledger.read("held", today)).length === 1, "the counts are written");
  expect(await usage.days(EVER)).toMatchObject([{ stored: { objects: 3, bytes: 99 } }]);
});

test("bucket sizes are measured only after use, and at most once an interval", async () => {
  const usage = open();
  await usage.days(EVER);
  expect(measurements).toBe(0);
  for (const wait of [0, 599_999, 1]) {
    clock += wait;
    usage.count(BUCKET, "upload", good());
    await usage.days(EVER);
  }
  await eventually(() => measurements === 2, "there were two measurements");
});

test("an expensive measurement is not repeated by a restart on the same day", async () => {
  sizes = [{ bucketId: BUCKET, objects: 3, bytes: 99 }];
  for (const expected of [1, 1]) {
    const usage = open({ measureEveryMs: DAY_MS });
    usage.count(BUCKET, "upload", good());
    await eventually(async () => (await usage.days(EVER))[0]?.stored !== undefined, "the size is known");
    await usage.close();
    expect(measurements).toBe(expected);
  }
});

test("counts that cannot be written are kept, neither lost nor counted twice", async () => {
  let isFull = true;
  const refusing: UsageOptions["ledger"] = {
    ...ledger,
    write: (statement, ...rows) =>
      isFull ? Promise.reject(new HuiyuanError("store_full", "disk full")) : ledger.write(statement, ...rows),
  };
  const usage = open({ ledger: refusing });
  usage.count(BUCKET, "download", good(1));
  expect(await usage.days(EVER)).toEqual([]);
  usage.count(BUCKET, "download", good(2));
  isFull = false;
  expect(await usage.days(EVER)).toMatchObject([{ operations: { download: { requests: 2, failures: 0, bytes: 3 } } }]);
});

test("the latest 400 days with use are kept, whatever the clock says", async () => {
  const usage = open();
  const first = clock;
  const row = {
    bucket: BUCKET,
    operation: "download",
    requests: 1,
    failures: 0,
    bytes: 0,
  };
  const days = Array.from({ length: 399 }, (_, index) => dayOf(first + index * DAY_MS));
  await ledger.write("count", ...days.map((day) => ({ ...row, day })));
  const useOn = async (at: number) => {
    clock = at;
    usage.count(BUCKET, "download", good());
    const before = measurements;
    await usage.days(EVER);
    await eventually(() => measurements > before, "old days were removed and the sizes measured");
    const counted = await usage.days(EVER);
    return { count: counted.length, first: counted[0]?.day };
  };
  // A wrong clock: years ahead, then right again.
  expect(await useOn(first + 5_000 * DAY_MS)).toEqual({
    count: 400,
    first: days[0],
  });
  expect(await useOn(first + 399 * DAY_MS)).toEqual({
    count: 400,
    first: days[1],
  });
});
