// Decides whether another fetch may begin. It takes a place of the mirror first and a slot of the program second. So
// fetches that wait for one slow origin take no slot of the other mirrors.
import { HuiyuanError } from "../../core/errors.ts";
import type { FillLimit, QueuedSemaphore } from "./semaphore.ts";

/** Resolves with the function that frees the place, to be called once. Throws overloaded, draining. */
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
      // takeSlot() checks again: the program may have begun to stop during the wait.
      return takeSlot();
    } catch (error) {
      queue.leave();
      throw error;
    }
  };
}
