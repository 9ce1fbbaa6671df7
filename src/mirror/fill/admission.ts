// Decides whether another fetch may begin. It takes a slot of the mirror first and a slot of the program second. So
// fetches that wait for one slow origin take no slot of the other mirrors.
import { HuiyuanError } from "../../core/errors.ts";
import type { FillLimit, QueuedSemaphore } from "./fill-limit.ts";

/** Resolves with the function that frees both slots, to be called once. Throws overloaded, draining. */
export type FillAdmission = () => Promise<() => void>;

export function createAdmission(parts: {
  readonly queue: QueuedSemaphore;
  readonly fillLimit: FillLimit;
  /** Aborted: the program is stopping. */
  readonly signal: AbortSignal;
}): FillAdmission {
  const { queue, fillLimit, signal } = parts;
  const leave = () => {
    fillLimit.free();
    queue.leave();
  };
  const refuseIfStopping = () => {
    if (signal.aborted) throw new HuiyuanError("draining", "Cannot fetch: the server is stopping");
  };
  const takeSlot = () => {
    refuseIfStopping();
    if (fillLimit.take()) return leave;
    throw new HuiyuanError("overloaded", `Cannot fetch: ${fillLimit.taken} fetches run, none is free`, {
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
