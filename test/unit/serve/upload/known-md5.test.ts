// The MD5 for stat of an object in a remote store, which has to be read for it.
import { afterEach, expect, test, vi } from "vitest";
import { createKnownMd5 } from "../../../../src/serve/upload/known-md5.ts";
import { createLatch } from "../../../helpers/spools.ts";
import { infoOf, randomBytes, wholeBody } from "../../../helpers/whole-body.ts";

afterEach(() => void vi.useRealTimers());

test("of() rejects in time while the bytes are slow, and a later call gets the MD5 of the same read", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const rest = createLatch();
  let reads = 0;
  const bucket = {
    async digest() {
      reads += 1;
      await rest.opened;
      return "the MD5";
    },
  };
  const { hashes, ...about } = infoOf("a.jpg", wholeBody(randomBytes(100)));
  const info = { ...about, hashes: { ...hashes, md5: undefined } };
  const md5 = createKnownMd5();
  const told = expect(md5.of(bucket, info)).rejects.toMatchObject({ code: "store_failed" });
  vi.advanceTimersByTime(45_000);
  await told;
  const again = md5.of(bucket, info);
  rest.open();
  expect([await again, await md5.of(bucket, info), reads]).toEqual(["the MD5", "the MD5", 1]);
});
