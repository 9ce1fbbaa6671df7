// Findings do not depend on chunk boundaries, and scanners allocate nothing for skipped bytes: one file may contain
// millions of segments.
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { scanGif } from "../../../../src/serve/body/formats/gif.ts";
import { feed, nothingFound, type Scanner } from "../../../../src/serve/body/formats/scan.ts";
import { scanWebp } from "../../../../src/serve/body/formats/webp.ts";
import { createGate } from "../../../../src/serve/body/gate/gate.ts";
import { tinyParts } from "../../../helpers/hostile-images.ts";
import { animatedGif, noisyWebp } from "../../../helpers/images.ts";

function found(scanner: Scanner, body: Buffer, chunkLengths: readonly number[]) {
  const findings = nothingFound();
  const push = feed(scanner, findings);
  for (let at = 0, turn = 0; at < body.length; turn += 1) {
    const chunk = Buffer.from(body.subarray(at, at + (chunkLengths[turn % chunkLengths.length] ?? body.length)));
    push(chunk);
    at += chunk.length;
    chunk.fill(0xff);
  }
  return findings;
}

test.each([
  ["gif", scanGif, await animatedGif(40, 30, 4), { framesWidth: 40, framesHeight: 30 }],
  ["webp", scanWebp, await noisyWebp(40, 30, "animated"), { framesWidth: 0, framesHeight: 0 }],
] as const)("frames of a %s are counted wherever it is cut", (_, scanner, body, reach) => {
  const whole = found(scanner, body, []);
  expect(whole).toMatchObject({ width: 40, height: 30, structure: "complete", ...reach });
  expect(whole.frames).toBeGreaterThan(1);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (chunkLengths) => {
      expect(found(scanner, body, chunkLengths)).toEqual(whole);
    }),
  );
});

const files = await tinyParts(64 * 1024);

describe("push() makes no view, copy or text of skipped bytes", () => {
  afterEach(() => vi.restoreAllMocks());

  test.each(Object.entries(files))("%s", (_, body) => {
    const gate = createGate();
    const made = [
      vi.spyOn(Buffer.prototype, "subarray"),
      vi.spyOn(Buffer.prototype, "toString"),
      vi.spyOn(Buffer.prototype, "readUInt8"),
      vi.spyOn(Buffer, "concat"),
    ];
    gate.push(body);
    expect(gate.isStructureWhole).toBe(true);
    // Heads are read once.
    expect(made.reduce((calls, spy) => calls + spy.mock.calls.length, 0)).toBeLessThan(40);
  });
});
