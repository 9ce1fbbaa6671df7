import { beforeEach, expect, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createOriginRecord, latencyOf, type OriginRecord } from "../../../../src/origin/guard/record.ts";

let now = 0;
let record: OriginRecord;
beforeEach(() => {
  now = 1_000_000;
  record = createOriginRecord({ name: "http://origin", now: () => now });
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
    record.failed(new HuiyuanError("origin_status", message, { originStatus: 500 + failure }));
  }
  const failures = record.failures();
  expect(failures.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, (_, at) => 524 - at));
  expect(failures[0]).toMatchObject({ at: 1_000_025, code: "origin_status" });
  expect(JSON.stringify(failures)).not.toMatch(/secret|sign|\?/);
});

test("latencyOf() takes each quantile from the times", () => {
  const times = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(latencyOf(times)).toEqual({ requests: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  expect(latencyOf([7])).toEqual({ requests: 1, p50: 7, p90: 7, p99: 7, max: 7 });
  expect(latencyOf([])).toBeUndefined();
});
