// A paused origin always resumes, because it waits for nothing but a write of the disk. No reader loses a byte of a
// body that has not failed. Readers come, leave, wait and read on in any order, while the disk lags, recovers or fails.
import fc from "fast-check";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import type { Spool } from "../../../../../src/serve/body/spool/spool.ts";
import type { Disk } from "../../../../../src/serve/body/spool/spool-file.ts";
import { diskError, testPool } from "../../../../helpers/spools.ts";

const KIB = 1_024;
const turn = () => new Promise(setImmediate);

/** A disk whose writes wait until the test decides their result. */
function handDisk() {
  let pending: { readonly bytes: number; settle(taken: number): void; fail(): void } | undefined;
  const disk: Partial<Disk> = {
    open: () => Promise.resolve(1),
    write: (_descriptor, pieces) =>
      new Promise((resolve, reject) => {
        const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
        pending = { bytes, settle: resolve, fail: () => reject(diskError("ENOSPC")) };
      }),
    read: (_descriptor, target) => Promise.resolve(target.byteLength),
    close: () => Promise.resolve(),
    unlink: () => Promise.resolve(),
  };
  const take = () => {
    const taken = pending;
    pending = undefined;
    return taken;
  };
  return {
    disk,
    isBusy: () => pending !== undefined,
    takes(share: number) {
      const step = take();
      step?.settle(Math.max(1, Math.floor(step.bytes * share)));
    },
    fails: () => take()?.fail(),
  };
}

interface TestReader {
  /** The reader asks for more than has arrived. */
  readonly isWaiting: boolean;
  readonly isGone: boolean;
  /** One chunk. */
  read(): void;
  leave(): void;
}

/** `lost`: gets the errors of reads of a body that has not failed. */
function readerOf(spool: Spool, lost: unknown[]): TestReader {
  const client = new AbortController();
  let at = 0;
  const reader = {
    isWaiting: false,
    isGone: false,
    read() {
      if (reader.isWaiting || reader.isGone) return;
      const ready = spool.peek(at);
      if (ready !== undefined) {
        at += ready.byteLength;
        return;
      }
      reader.isWaiting = true;
      spool.read(at, client.signal).then(
        (piece) => {
          reader.isWaiting = false;
          if (piece === undefined) reader.leave();
          else at += piece.byteLength;
        },
        (error: unknown) => {
          if (spool.end?.kind !== "failed" && !reader.isGone) lost.push(error);
          reader.leave();
        },
      );
    },
    leave() {
      if (reader.isGone) return;
      reader.isGone = true;
      client.abort(new Error("it has left"));
      spool.release();
    },
  };
  spool.hold();
  return reader;
}

interface Scene {
  readonly spool: Spool;
  readonly disk: ReturnType<typeof handDisk>;
  readonly readers: TestReader[];
  readonly lost: unknown[];
  isStopped: boolean;
}

type Step = (scene: Scene) => void;

function arrive(scene: Scene, bytes: number): void {
  const { spool } = scene;
  if (scene.isStopped || spool.end !== undefined) return;
  if (spool.write(Buffer.alloc(bytes))) return;
  scene.isStopped = true;
  void spool.drained().then(() => {
    scene.isStopped = false;
  });
}

const nth = <Item>(items: readonly Item[], index: number): Item | undefined => items[index % Math.max(1, items.length)];

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.integer({ min: 1, max: 400 * KIB }).map(
      (bytes): Step =>
        (scene) =>
          arrive(scene, bytes),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>(({ spool, readers, lost }) => void readers.push(readerOf(spool, lost))) },
  {
    weight: 6,
    arbitrary: fc.nat(5).map(
      (index): Step =>
        ({ readers }) =>
          nth(readers, index)?.read(),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.nat(5).map(
      (index): Step =>
        ({ spool, readers }) => {
          const reader = nth(readers, index);
          // Reads all bytes so far, then waits.
          for (let left = spool.received; left >= 0 && reader?.isWaiting === false && !reader.isGone; left -= KIB)
            reader.read();
        },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(5).map(
      (index): Step =>
        ({ readers }) =>
          nth(readers, index)?.leave(),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map(
      (share): Step =>
        ({ disk }) =>
          disk.takes(share),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Step>(({ disk }) => disk.fails()) },
);

/** Nothing is left that would let the origin resume. */
function isStuck({ isStopped, disk }: Scene): boolean {
  return isStopped && !disk.isBusy();
}

const MIB = 1_024 * KIB;

test.each([
  [64 * MIB, 64 * MIB],
  [0, 64 * MIB],
  [64 * MIB, MIB],
])(
  "a paused origin always waits for the disk, with %d bytes for all spools and %d for transients",
  async (memoryBytes, maxTransientBytes) => {
    const walks = fc.array(fc.tuple(steps, fc.boolean()), { minLength: 1, maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(walks, async (walk) => {
        const disk = handDisk();
        const bounds = { perSpoolBytes: 0, memoryBytes, maxTransientBytes };
        const pool = testPool({ ...bounds, digests: new Set(), disk: disk.disk });
        const spool = pool.open();
        const scene: Scene = { spool, disk, readers: [], lost: [], isStopped: false };
        for (const [step, isAlone] of walk) {
          step(scene);
          // Other steps happen in the same turn.
          if (!isAlone) continue;
          await turn();
          if (isStuck(scene)) throw new Error(`stopped after ${spool.received} bytes, and all wait`);
        }
        await turn();
        expect(isStuck(scene)).toBe(false);
        spool.fail(new HuiyuanError("origin_truncated", "the test is over"));
        for (const reader of scene.readers) reader.leave();
        disk.fails();
        await turn();
        expect([scene.isStopped, scene.lost]).toEqual([false, []]);
        spool.release();
        expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
      }),
      { numRuns: 200 },
    );
  },
);

test("the origin resumes when the disk fails while a reader waits for more, and another has left", async () => {
  const disk = handDisk();
  const spool = testPool({ disk: disk.disk }).open();
  spool.hold();
  const reader = readerOf(spool, []);
  for (let goesOn = true; goesOn; ) goesOn = spool.write(Buffer.alloc(64 * KIB));
  const drained = spool.drained();
  while (!reader.isWaiting) reader.read();
  await turn(); // The disk has a write.
  spool.release();
  disk.fails();
  await drained;
  expect(spool.write(Buffer.alloc(64 * KIB))).toBe(true);
  await turn();
  reader.leave();
  spool.release();
});
