// Bytes of a far store of which none is given out before all have come and are right.

import { withTimeout } from "../../async/timeouts.ts";
import type { Key } from "../../core/object.ts";

/** Less than a client's connection waits for its answer. Milliseconds. */
const PROOF_WAIT_MS = 40_000;

/** What the reading gives, which goes on without those who have left: its copy serves who comes later. Throws store_failed. */
export function withReadDeadline<Result>(key: Key, reading: Promise<Result>): Promise<Result> {
  return withTimeout(PROOF_WAIT_MS, reading, `Cannot read "${key}": all of it must come first, which takes too long`);
}
