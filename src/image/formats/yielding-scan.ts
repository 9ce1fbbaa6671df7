// Walks through whole files, which may hold millions of segments, blocks or chunks: on the thread that answers clients a few
// milliseconds at a time, so that nobody waits for the end of one.
import { setImmediate as nextTurn } from "node:timers/promises";

/** Yields now and then, at least once a millisecond or so, and returns what it has found. */
export type ScanSteps<Found> = Generator<undefined, Found, undefined>;

/** Bytes that are looked at before others may have their turn. */
export const STEP_BYTES = 65_536;

/** Gives `push` the bytes in chunks, each good until the next, as long as it wants more. */
export function* scanBytes(bytes: Buffer, push: (chunk: Buffer) => boolean): ScanSteps<void> {
  if (bytes.length <= STEP_BYTES) {
    push(bytes);
    return;
  }
  // Memory that could be resized, as that of large bodies, is several times as slow to look at.
  const isSlow = "resizable" in bytes.buffer && bytes.buffer.resizable;
  const step = isSlow ? Buffer.allocUnsafe(STEP_BYTES) : undefined;
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const chunk = bytes.subarray(at, at + STEP_BYTES);
    if (!push(step === undefined ? chunk : step.subarray(0, chunk.copy(step)))) return;
    yield;
  }
}

const SLICE_MS = 5;

/** For the thread that answers clients: others have their turn in between. A short walk takes no turn of its own. */
export async function yieldingScan<Found>(scan: ScanSteps<Found>): Promise<Found> {
  let until = performance.now() + SLICE_MS;
  for (;;) {
    const step = scan.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + SLICE_MS;
  }
}

/** For a process that has nothing else to do. */
export function runScan<Found>(scan: ScanSteps<Found>): Found {
  for (;;) {
    const step = scan.next();
    if (step.done === true) return step.value;
  }
}
