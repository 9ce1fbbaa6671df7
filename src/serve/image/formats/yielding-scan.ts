// Runs scans of whole files, which may have millions of segments, blocks or chunks. On the thread that serves clients a
// scan runs a few milliseconds at a time, so that other requests do not wait for its end. The scanners themselves are
// in body/formats.
import { setImmediate as nextTurn } from "node:timers/promises";

/** A scan in steps. It yields about once a millisecond, and returns its findings. */
export type ScanSteps<Found> = Generator<undefined, Found, undefined>;

/** Bytes scanned in one step. */
const STEP_BYTES = 65_536;

/** Passes the bytes to `push` in chunks, until it returns false. Each chunk is valid until the next one. */
export function* scanBytes(bytes: Buffer, push: (chunk: Buffer) => boolean): ScanSteps<void> {
  if (bytes.length <= STEP_BYTES) {
    push(bytes);
    return;
  }
  // Reads from resizable memory, which large bodies have, are several times slower.
  const isSlow = "resizable" in bytes.buffer && bytes.buffer.resizable;
  const step = isSlow ? Buffer.allocUnsafe(STEP_BYTES) : undefined;
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const chunk = bytes.subarray(at, at + STEP_BYTES);
    if (!push(step === undefined ? chunk : step.subarray(0, chunk.copy(step)))) return;
    yield;
  }
}

const SLICE_MS = 5;

/**
 * Runs a scan on the thread that serves clients and yields to other events. A short scan completes without yielding.
 */
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

/** Runs a scan without yielding, in a process that has nothing else to do. */
export function runScan<Found>(scan: ScanSteps<Found>): Found {
  for (;;) {
    const step = scan.next();
    if (step.done === true) return step.value;
  }
}
