// A file of a million parts is read in the time that some looks at each of its bytes take.
import { expect, test } from "vitest";
import { bodyRoom } from "../../../../src/body/body-room.ts";
import { scanSource, weighedFacts } from "../../../../src/image/formats/loaders.ts";
import { runScan } from "../../../../src/image/formats/yielding-scan.ts";
import { tinyParts } from "../../../helpers/hostile-images.ts";
import { LIMITS } from "../../../helpers/rendering.ts";

const BYTES = 3_000_000;
/** So many times what one look at each byte takes: a few are enough, and whatever is made for each part takes hundreds. */
const MOST_LOOKS = 80;

/** Milliseconds of CPU, the least of several tries, since others run beside. */
function cpuMs(work: () => void): number {
  const tries = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...tries);
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 1) sum += bytes[at]!;
  return sum;
}

const oneLookMs = cpuMs(() => sumOf(Buffer.alloc(BYTES, 1)));

test.each(Object.entries(await tinyParts(BYTES)))(
  "walkSource() and weighedFacts() make nothing for each part: %s",
  (_, file) => {
    // As the memory tier and the spools hold large ones.
    const bytes = bodyRoom(file.length);
    file.copy(bytes);
    const limits = { ...LIMITS, frames: Number.POSITIVE_INFINITY, pixels: Number.POSITIVE_INFINITY };
    const readMs = cpuMs(() => runScan(weighedFacts(runScan(scanSource(bytes, limits)), bytes)));
    expect(readMs / oneLookMs).toBeLessThan(MOST_LOOKS);
  },
);
