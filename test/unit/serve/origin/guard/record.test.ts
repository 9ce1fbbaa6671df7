import { beforeEach, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createOriginRecord, latencyOf, type OriginRecord } from "../../../../../src/serve/origin/guard/record.ts";

let now = 0;
let record: OriginRecord;
beforeEach(() => {
  now = 1_000_000;
  record = createOriginRecord({ name: "http://origin", now: () => now, time: () => now });
});

test("latencies() has the last 512 requests of the last five minutes", () => {
  record.answered(1);
  now += 200_000;
  for (let request = 0; request < 600; request += 1) record.answered(request);
  expect([record.latencies().length, Math.min(...record.latencies())]).toEqual([512, 88]);
  now += 299_999;
  expect(record.latencies()).toHaveLength(512);
  now += 2;
  expect(record.latencies()).toEqual([]);
});

test("failures() has the last 20, the newest first, in words of our own", () => {
  for (let failure = 0; failure < 25; failure += 1) {
    now += 1;
    const message = `Cannot fetch http://user:secret@origin/?sign=${failure}`;
    const error = new HuiyuanError("origin_status", message, { originStatus: 500 + failure });
    record.failed({ key: `${failure}.jpg`, error });
  }
  const failures = record.failures();
  expect(failures.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, (_, at) => 524 - at));
  expect(failures[0]).toMatchObject({ at: 1_000_025, key: "24.jpg", code: "origin_status" });
  expect(JSON.stringify(failures)).not.toMatch(/secret|sign|\?/);
});

test("outcomes() counts every request of the last five minutes, also the refused ones, in constant space", () => {
  const refused = { key: "a.jpg", error: new HuiyuanError("origin_refused", "refused") };
  expect(record.outcomes()).toEqual({ requests: 0, failed: 0, isAnswering: undefined });
  for (let request = 0; request < 5_000; request += 1) record.failed(refused);
  expect(record.outcomes()).toEqual({ requests: 5_000, failed: 5_000, isAnswering: false });
  now += 200_000;
  for (let request = 0; request < 700; request += 1) record.answered(1);
  record.bodyFailed(refused);
  expect(record.outcomes()).toEqual({ requests: 5_700, failed: 5_001, isAnswering: true });
  now += 250_000;
  expect(record.outcomes()).toEqual({ requests: 700, failed: 1, isAnswering: true });
  now += 300_000;
  // Nothing was requested lately, so the last outcome counts.
  expect(record.outcomes()).toEqual({ requests: 0, failed: 0, isAnswering: false });
});

test("latencyOf() takes each quantile from the times", () => {
  const times = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(latencyOf(times)).toEqual({ p50: 50, p90: 90, p99: 99, max: 100 });
  expect(latencyOf([7])).toEqual({ p50: 7, p90: 7, p99: 7, max: 7 });
  expect(latencyOf([])).toBeUndefined();
});
