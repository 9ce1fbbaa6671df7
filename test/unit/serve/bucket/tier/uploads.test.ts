// The schedule of uploads to a store that refuses some objects or all of them.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Key, toKey } from "../../../../../src/core/object.ts";
import { createUploads } from "../../../../../src/serve/bucket/tier/uploads.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";

const BAD = toKey("bad.jpg");
let attempts: Key[];
let isDown: boolean;
let refuses: (key: Key) => boolean;
let log: ReturnType<typeof linesOf>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  attempts = [];
  isDown = false;
  refuses = (key) => key === BAD;
  log = linesOf();
});
afterEach(() => vi.useRealTimers());

const open = () =>
  createUploads({
    async uploadOne({ key }) {
      attempts.push(key);
      if (refuses(key)) throw new Error(`S3 answered 403 for ${key}`);
    },
    isDown: () => isDown,
    maxConcurrent: 8,
    log,
    now: () => 0,
  });
const upload = (key: Key) => ({ bucketId: "1/b", key, size: 10, since: 0 });
const tries = (key: Key) => attempts.filter((tried) => tried === key).length;

test("an object that the store always refuses is retried ever more rarely, delays no other and is logged once", async () => {
  const uploads = open();
  uploads.add(upload(BAD));
  for (let second = 0; second < 600; second += 1) {
    uploads.add(upload(toKey(`${second}.jpg`)));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(uploads.backlog().depth).toBe(1);
  }
  expect(tries(BAD)).toBeGreaterThan(20);
  expect(tries(BAD)).toBeLessThan(30);
  expect(attempts.length).toBe(600 + tries(BAD));
  expect(log.lines).toHaveLength(1);
});

test("objects that fail wait for one timer, and all are retried if the store accepts them later", async () => {
  const uploads = open();
  refuses = () => true;
  for (let at = 0; at < 1_000; at += 1) uploads.add(upload(toKey(`${at}.jpg`)));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(vi.getTimerCount()).toBe(1);
  refuses = () => false;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(uploads.backlog()).toEqual({ depth: 0, bytes: 0, oldestMs: 0 });
  await uploads.idle();
});

test("resume() retries at once what failed before an outage", async () => {
  const uploads = open();
  uploads.add(upload(BAD));
  await vi.advanceTimersByTimeAsync(0);
  isDown = true;
  refuses = () => false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(attempts).toHaveLength(1);
  isDown = false;
  uploads.resume();
  await uploads.idle();
  expect(attempts).toHaveLength(2);
});
