// Tracks whether a remote store answers. While it does not, lookups fail at once and uploads pause; one probe request a
// second finds out when it is back. This file sends no request itself.
import type { Log } from "../../../core/log.ts";

export interface Availability {
  readonly isDown: boolean;
  /** Start of the current run of failures, as performance.now(); undefined if the last request was answered. */
  readonly since: number | undefined;
  answered(): void;
  /** One request got no answer. `isCertain`: the store counts as down after this single failure. */
  failed(reason: Error, isCertain?: boolean): void;
  /** Called each time the store answers again after it was down. */
  onRecovery(listener: () => void): void;
  close(): void;
}

export interface AvailabilityOptions {
  /** The store's name for the log, such as `S3`. */
  readonly name: string;
  /** Sends one cheap request; rejects if the store does not answer. */
  readonly probe: () => Promise<void>;
  readonly log: Log;
  /** Milliseconds between two probes while the store is down. */
  readonly probeEveryMs?: number;
}

/** Consecutive failures. Fewer may come from single requests alone. */
const FAILURES_UNTIL_DOWN = 3;
const PROBE_EVERY_MS = 1_000;

export function createAvailability({
  name,
  probe,
  log,
  probeEveryMs = PROBE_EVERY_MS,
}: AvailabilityOptions): Availability {
  const listeners: (() => void)[] = [];
  let failures = 0;
  let since: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function answered(): void {
    failures = 0;
    if (timer !== undefined && since !== undefined) {
      log.info({ downMs: Math.round(performance.now() - since) }, `${name} answers again`);
      clearTimeout(timer);
      timer = undefined;
      since = undefined;
      for (const listener of listeners) listener();
    }
    since = undefined;
  }

  function failed(reason: Error, isCertain = false): void {
    failures += 1;
    since ??= performance.now();
    if ((failures < FAILURES_UNTIL_DOWN && !isCertain) || timer !== undefined || isClosed) return;
    log.error({ err: reason }, `${name} does not answer: cached images are served, new images wait on disk`);
    probeLater();
  }

  function probeLater(): void {
    timer = setTimeout(() => {
      void probe().then(answered, () => {
        if (timer !== undefined && !isClosed) probeLater();
      });
    }, probeEveryMs).unref();
  }

  return {
    get isDown() {
      return timer !== undefined;
    },
    get since() {
      return since;
    },
    answered,
    failed,
    onRecovery: (listener) => void listeners.push(listener),
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
