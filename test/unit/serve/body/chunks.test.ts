// Tests of the limit on bytes that are read for clients and not sent yet.
import { expect, test } from "vitest";
import { type Chunks, createChunks } from "../../../../src/serve/body/chunks.ts";

const LARGE = 262_144;
const BLOCK = 65_536;
const MB = 1_048_576;

/** The lengths of the chunks of 1 MiB from `start` on, and the number of buffers that contained them. */
async function lengths(pieces: Chunks, start: number): Promise<{ readonly bytes: number[]; readonly rooms: number }> {
  const rooms = new Set<ArrayBufferLike>();
  const opened = pieces.open(async (from, to, into) => {
    const piece = into ?? Buffer.alloc(to - from + 1);
    expect(piece.length).toBe(to - from + 1);
    rooms.add(piece.buffer);
    return piece;
  });
  const bytes: number[] = [];
  for (let at = start; at < MB; at += bytes.at(-1) ?? 0) bytes.push((await opened.next(at, MB - 1)).length);
  opened.close();
  return { bytes, rooms: rooms.size };
}

/** Whether exactly so many bytes are held: 32 MiB are the limit from which a large body is not read whole. */
function holds(pieces: Chunks, bytes: number): boolean {
  const release = pieces.hold(32 * MB - bytes - 1);
  const isBelow = pieces.mayBeWhole(MB);
  const releaseOne = pieces.hold(1);
  const isAt = !pieces.mayBeWhole(MB);
  releaseOne();
  release();
  return isBelow && isAt;
}

test("next() returns large chunks in reused memory, and single blocks while much is held", async () => {
  const pieces = createChunks();
  expect(await lengths(pieces, 0)).toEqual({ bytes: Array(4).fill(LARGE), rooms: 1 });
  const release = pieces.hold(32 * MB);
  expect(pieces.mayBeWhole(BLOCK)).toBe(true);
  expect(pieces.mayBeWhole(BLOCK + 1)).toBe(false);
  expect(await lengths(pieces, 0)).toEqual({ bytes: Array(16).fill(BLOCK), rooms: 1 });
  expect((await lengths(pieces, 100)).bytes.slice(0, 2)).toEqual([BLOCK - 100, BLOCK]);
  release();
  expect(pieces.mayBeWhole(MB)).toBe(true);
  expect((await lengths(pieces, 100)).bytes).toEqual([LARGE, LARGE, LARGE, LARGE - 100]);
  expect(holds(pieces, 0)).toBe(true);
});

test("a chunk counts as held until the next one is read, or the response is closed", async () => {
  const pieces = createChunks();
  const opened = pieces.open(async (from, to) => Buffer.alloc(to - from + 1));
  await opened.next(0, MB);
  await opened.next(LARGE, MB);
  expect(holds(pieces, LARGE)).toBe(true);
  opened.close();
  opened.close();
  expect(holds(pieces, 0)).toBe(true);
});
