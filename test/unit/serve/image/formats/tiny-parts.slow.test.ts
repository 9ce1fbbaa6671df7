// Checks that a file of a million parts is scanned in time proportional to its bytes.
import { expect, test } from "vitest";
import { bodyRoom } from "../../../../../src/serve/body/head-room.ts";
import { scanSource } from "../../../../../src/serve/image/formats/loaders.ts";
import { runScan } from "../../../../../src/serve/image/formats/yielding-scan.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";
import { tinyParts } from "../../../../helpers/hostile-images.ts";
import { LIMITS } from "../../../../helpers/rendering.ts";

const BYTES = 3_000_000;
/** Allowed multiple of reading each byte once. A few suffice; an allocation for each part would take hundreds. */
const MOST_LOOKS = 80;

/** Milliseconds of CPU time: the minimum of several tries, because other tests run at the same time. */
function cpuMs(work: () => void): number {
  const tries = Array.from({ length: 3 }, () => {
    const timer = startCpuTimer();
    work();
    return timer();
  });
  return Math.min(...tries);
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 1) sum += bytes[at]!;
  return sum;
}

const oneLookMs = cpuMs(() => sumOf(Buffer.alloc(BYTES, 1)));

test.each(Object.entries(await tinyParts(BYTES)))("scanSource() makes nothing for each part: %s", (_, file) => {
  // Memory cache and spools keep large bodies in such memory.
  const bytes = bodyRoom(file.length);
  file.copy(bytes);
  const limits = { ...LIMITS, frames: Number.POSITIVE_INFINITY, pixels: Number.POSITIVE_INFINITY };
  const readMs = cpuMs(() => runScan(scanSource(bytes, limits)));
  expect(readMs / oneLookMs).toBeLessThan(MOST_LOOKS);
});
