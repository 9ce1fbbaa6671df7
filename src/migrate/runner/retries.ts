// Copies one object with retries: a pause that doubles, and a budget for the whole run, so that a source that is down
// is not requested three times for each of its objects.
import { setTimeout as delay } from "node:timers/promises";
import type { Job, JobResult } from "../journal/journal.ts";
import { type CopyContext, copyObject } from "./copy.ts";
import { describeFailure, type Failure, isFull } from "./failure.ts";
import type { Pace } from "./pace.ts";

export interface Retries {
  /** Throws the signal's reason, and store_full. */
  copy(job: Job, signal: AbortSignal): Promise<JobResult>;
}

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

export function createRetries(context: CopyContext, options: RetryOptions): Retries {
  const { pace, retries, giveUp, firstPauseMs = FIRST_PAUSE_MS } = options;
  let budget = BUDGET;
  let inRow = 0;

  async function attempt(job: Job, signal: AbortSignal): Promise<JobResult | Failure> {
    try {
      const { outcome, bytes } = await copyObject(job, context, signal);
      pace.succeeded(bytes);
      return { job, outcome, bytes };
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

  return {
    async copy(job, signal) {
      for (let tries = 0; ; tries += 1) {
        const found = await attempt(job, signal);
        if ("outcome" in found) {
          succeeded();
          return found;
        }
        const { isTransient, retryAfterMs = 0, cause, log } = found;
        if (isTransient) pace.congested(retryAfterMs);
        if (!isTransient || tries >= retries || budget < 1) {
          failed(found);
          return { job, outcome: "failed", cause, log };
        }
        budget -= 1;
        await delay(Math.max(Math.min(retryAfterMs, MAX_PAUSE_MS), firstPauseMs * 2 ** tries), undefined, { signal });
      }
    },
  };
}
