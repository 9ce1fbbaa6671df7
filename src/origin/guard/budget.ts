// What one origin may be asked, whoever asks: connections, requests a second, and not at all while it has asked for a
// pause. Clients' requests go first; bulk work (a migration) takes what they leave. One budget per origin.

import { LiveSet } from "../../async/live-map.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createTokenBucket } from "./token-bucket.ts";

/** `client`: somebody waits for the image. `bulk`: nobody does; it waits as long as it must. */
export type Traffic = "client" | "bulk";

export interface BudgetRules {
  /** Requests whose body has not ended. Bulk work may have three quarters of them. */
  readonly connections: number;
  /** 0: as many as come. Half a second's worth is kept free of bulk work. */
  readonly requestsPerSecond: number;
  /** Milliseconds that a client's request waits before it is overloaded. */
  readonly waitMs: number;
}

export interface BudgetOptions {
  readonly rules: BudgetRules;
  /** The origin in messages, without credentials. */
  readonly name: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly log: Log;
}

export interface Budget {
  /** origin_busy while the origin has asked for a pause. */
  refusal(): HuiyuanError | undefined;
  /**
   * Undefined: the request may go out now. Else resolves when it may. Fails with origin_busy or overloaded (clients
   * only), and with the signal's reason. Every success is ended by `leave`.
   */
  enter(traffic: Traffic, signal: AbortSignal): Promise<void> | undefined;
  leave(): void;
  /** The origin answered 429 or 503 with a Retry-After of so many seconds; at most five minutes are kept to. */
  pause(status: number, seconds: number): void;
  /** `pausedMs`: what is left of the pause. */
  usage(): { readonly running: number; readonly waiting: number; readonly pausedMs: number };
}

const MAX_PAUSE_MS = 300_000;
const MAX_WAITING_CLIENTS = 1_000;
const RETRY_AFTER_SECONDS = 2;
// Pauses that follow each other are one story.
const LOG_AGAIN_MS = 60_000;

interface Waiter {
  admit(): void;
  refuse(error: unknown): void;
}

export function createBudget({ rules, name, now, log }: BudgetOptions): Budget {
  const { connections, requestsPerSecond: rate, waitMs } = rules;
  const tokens = rate === 0 ? undefined : createTokenBucket(rate, now());
  const maxRunning: Record<Traffic, number> = { client: connections, bulk: Math.ceil(connections * 0.75) };
  const spare: Record<Traffic, number> = { client: 0, bulk: rate / 2 };
  const queues: Record<Traffic, LiveSet<Waiter>> = { client: new LiveSet(), bulk: new LiveSet() };
  let running = 0;
  let pause: { readonly status: number; readonly until: number } | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function pausedMs(): number {
    return pause === undefined ? 0 : Math.max(0, pause.until - now());
  }

  function refusal(): HuiyuanError | undefined {
    const leftMs = pausedMs();
    if (pause === undefined || leftMs === 0) return undefined;
    const message = `Cannot ask ${name}: it answered ${pause.status} and is left alone for ${Math.ceil(leftMs)} ms`;
    return new HuiyuanError("origin_busy", message, {
      originStatus: pause.status,
      retryAfterSeconds: Math.ceil(leftMs / 1_000),
    });
  }

  function overloaded(found: string): HuiyuanError {
    return new HuiyuanError("overloaded", `Cannot ask ${name}: ${found}`, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  /** Milliseconds until a request of this kind may go out; Infinity where only a `leave` can tell. */
  function readyInMs(traffic: Traffic): number {
    if (running >= maxRunning[traffic]) return Number.POSITIVE_INFINITY;
    return Math.max(pausedMs(), tokens?.readyInMs(now(), spare[traffic]) ?? 0);
  }

  function start(): void {
    running += 1;
    tokens?.take(now());
  }

  /** Lets in whoever may go now, clients first, and comes back when the next may. */
  function admitWaiting(): void {
    clearTimeout(timer);
    for (;;) {
      const traffic = queues.client.size > 0 ? "client" : "bulk";
      const { first: next } = queues[traffic];
      if (next === undefined) return;
      const inMs = readyInMs(traffic);
      if (inMs > 0) {
        if (inMs !== Number.POSITIVE_INFINITY) timer = setTimeout(admitWaiting, Math.ceil(inMs));
        return;
      }
      start();
      next.admit();
    }
  }

  function wait(traffic: Traffic, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = queues[traffic];
      const onAbort = () => waiter.refuse(signal.reason);
      const expire = () => waiter.refuse(overloaded(`${running} requests run and ${queue.size} wait`));
      const timeout = traffic === "client" ? setTimeout(expire, waitMs) : undefined;
      const cleanUp = () => {
        leaveQueue();
        clearTimeout(timeout);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        admit() {
          cleanUp();
          resolve();
        },
        refuse(error) {
          cleanUp();
          reject(error);
          admitWaiting();
        },
      };
      signal.addEventListener("abort", onAbort);
      const leaveQueue = queue.add(waiter);
      admitWaiting();
    });
  }

  return {
    refusal,
    enter(traffic, signal) {
      const refused = traffic === "client" ? refusal() : undefined;
      if (refused !== undefined) return Promise.reject(refused);
      if (signal.aborted) return Promise.reject(signal.reason);
      const isFirst = queues.client.size === 0 && (traffic === "client" || queues.bulk.size === 0);
      if (isFirst && readyInMs(traffic) === 0) {
        start();
        return undefined;
      }
      if (traffic === "client" && queues.client.size >= MAX_WAITING_CLIENTS)
        return Promise.reject(overloaded(`${queues.client.size} requests wait`));
      return wait(traffic, signal);
    },
    leave() {
      running -= 1;
      admitWaiting();
    },
    pause(status, seconds) {
      const until = now() + Math.min(seconds * 1_000, MAX_PAUSE_MS);
      if (until <= now() || until <= (pause?.until ?? 0)) return;
      pause = { status, until };
      if (now() - loggedAt >= LOG_AGAIN_MS) {
        loggedAt = now();
        log.warn({ origin: name, status, seconds: pausedMs() / 1_000 }, "an origin asks to be left alone for a while");
      }
      const refused = refusal();
      for (const waiter of queues.client) waiter.refuse(refused);
    },
    usage: () => ({ running, waiting: queues.client.size + queues.bulk.size, pausedMs: pausedMs() }),
  };
}
