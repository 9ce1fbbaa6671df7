// Whether another fetch may begin: the program's own bound on fills, and the mirror's bulkhead before it, so that the
// fetches that wait for one slow origin take no place of the others.
import { HuiyuanError } from "../../core/errors.ts";
import type { QueuedSemaphore } from "./semaphore.ts";
import type { FillLimit } from "./slots.ts";

/** Resolves with the function that gives the place back, to be called once. Throws overloaded, draining. */
export type FillAdmission = () => Promise<() => void>;

export function createAdmission(parts: {
  readonly queue: QueuedSemaphore;
  readonly slots: FillLimit;
  /** Aborted: the program is stopping. */
  readonly signal: AbortSignal;
}): FillAdmission {
  const { queue, slots, signal } = parts;
  const leave = () => {
    slots.free();
    queue.leave();
  };
  const refuseIfStopping = () => {
    if (signal.aborted) throw new HuiyuanError("draining", "Cannot fetch: the server is stopping");
  };
  const takeSlot = () => {
    refuseIfStopping();
    if (slots.take()) return leave;
    throw new HuiyuanError("overloaded", `Cannot fetch: ${slots.taken} fetches run, none is free`, {
      retryAfterSeconds: 1,
    });
  };
  return async () => {
    refuseIfStopping();
    const waiting = queue.enter();
    if (waiting !== undefined) await waiting;
    try {
      // Once more: the program may have begun to stop while this one waited.
      return takeSlot();
    } catch (error) {
      queue.leave();
      throw error;
    }
  };
}
