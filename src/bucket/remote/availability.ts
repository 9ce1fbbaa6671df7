// Whether S3 answers. While it does not, nobody waits for it: look-ups fail at once, uploads rest, and one request a
// second asks whether it is back.
import type { Log } from "../../core/log.ts";

export interface Availability {
  readonly isDown: boolean;
  /** When the row of failures that is going on began, as performance.now(); undefined when the last request was answered. */
  readonly since: number | undefined;
  answered(): void;
  /** One request was not answered. `isCertain`: it need not happen again. */
  failed(reason: Error, isCertain?: boolean): void;
  onRecovery(listener: () => void): void;
  close(): void;
}

export interface AvailabilityOptions {
  /** One cheap request; rejects where S3 does not answer. */
  readonly probe: () => Promise<void>;
  readonly log: Log;
  /** Milliseconds between two questions while it is down. */
  readonly probeEveryMs?: number;
}

/** In a row; fewer may be one request's own bad luck. */
const FAILURES_UNTIL_DOWN = 3;
const PROBE_EVERY_MS = 1_000;

export function createAvailability({ probe, log, probeEveryMs = PROBE_EVERY_MS }: AvailabilityOptions): Availability {
  const listeners: (() => void)[] = [];
  let failures = 0;
  let since: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function answered(): void {
    failures = 0;
    if (timer !== undefined && since !== undefined) {
      log.info({ downMs: Math.round(performance.now() - since) }, "S3 answers again");
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
    log.error({ err: reason }, "S3 does not answer: what is kept here is served, new images wait on disk");
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
