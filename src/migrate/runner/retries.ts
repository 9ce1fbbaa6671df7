// Copies or compares one object with retries: a pause that doubles, and a budget for the whole run, so that a source
// that is down is not requested three times for each of its objects.
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "../../core/errors.ts";
import { describeFailure, type Failure, isFull } from "./failure.ts";
import type { Pace } from "./pace.ts";

/** `bytes`: those that count for the limit on bytes a second. */
export interface Done {
  readonly outcome: string;
  readonly bytes: number;
}

/** Throws the signal's reason, and store_full. */
export type Retried<Result extends Done> = (
  attempt: (signal: AbortSignal) => Promise<Result>,
  signal: AbortSignal,
) => Promise<Result | Failure>;

export interface RetryOptions {
  readonly pace: Pace;
  /** Attempts after the first. */
  readonly retries: number;
  /** Called if source or target are not usable at all; the run must stop. */
  readonly giveUp: (last: Failure) => void;
  readonly firstPauseMs?: number;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;
const BUDGET = 100;
const EARNED = 0.1;
/** As many objects in a row that source or target did not answer for. */
const USELESS = 200;

export function createRetries<Result extends Done>(options: RetryOptions): Retried<Result> {
  const { pace, retries, giveUp, firstPauseMs = FIRST_PAUSE_MS } = options;
  let budget = BUDGET;
  let inRow = 0;

  async function tryOnce(attempt: Parameters<Retried<Result>>[0], signal: AbortSignal): Promise<Result | Failure> {
    try {
      const done = await attempt(signal);
      pace.succeeded(done.bytes);
      return done;
    } catch (error) {
      signal.throwIfAborted();
      if (isFull(error)) throw error;
      return describeFailure(error);
    }
  }

  function succeeded(): void {
    budget = Math.min(BUDGET, budget + EARNED);
    inRow = 0;
  }

  function failed(found: Failure): void {
    inRow = found.isTransient ? inRow + 1 : 0;
    if (inRow >= USELESS) giveUp(found);
  }

  return async (attempt, signal) => {
    for (let tries = 0; ; tries += 1) {
      const found = await tryOnce(attempt, signal);
      if ("outcome" in found) {
        succeeded();
        return found;
      }
      const { isTransient, retryAfterMs = 0 } = found;
      if (isTransient) pace.congested(retryAfterMs);
      if (!isTransient || tries >= retries || budget < 1) {
        failed(found);
        return found;
      }
      budget -= 1;
      await delay(Math.max(Math.min(retryAfterMs, MAX_PAUSE_MS), firstPauseMs * 2 ** tries), undefined, { signal });
    }
  };
}

/** The reason of a run that ends early, from its last failure. */
export function uselessRun({ log }: Failure): HuiyuanError {
  return new HuiyuanError("overloaded", `The run ends early: source or target do not answer. ${log}`);
}
