// A few lines where there could be one for each image: of every kind of failure the first ones of a minute are told in
// full, the rest as one line of counts when the minute is over. While it goes on the lines become fewer.
import type { Log } from "../core/log.ts";

export interface FailureLog {
  /** `kind`: what is counted together; a few fixed words. */
  warn(kind: string, fields: object, message: string): void;
  error(kind: string, fields: object, message: string): void;
}

/** Of each kind in the first minute; afterwards one in each window. */
const LINES = 3;
const MINUTE_MS = 60_000;
/** A window is twice as long as the one before, for as long as more fails in it than is told. */
const MAX_MINUTES = 60;

/** `about`: fields of the line of counts. `what`: what fails, in the plural. */
export function createFailureLog(log: Log, about: object, what = "images"): FailureLog {
  const counts = new Map<string, number>();
  /** The length of the window that runs; 0: none does. */
  let minutes = 0;

  const told = () => (minutes === 1 ? LINES : 1);

  function open(length: number): void {
    minutes = length;
    setTimeout(close, minutes * MINUTE_MS).unref();
  }

  function close(): void {
    const untold = [...counts].filter(([, count]) => count > told()).map(([kind, count]) => [kind, count - told()]);
    counts.clear();
    if (untold.length === 0) {
      minutes = 0;
      return;
    }
    log.warn({ ...about, minutes, ...Object.fromEntries(untold) }, `more ${what} failed in these minutes`);
    open(Math.min(minutes * 2, MAX_MINUTES));
  }

  function mayTell(kind: string): boolean {
    if (minutes === 0) open(1);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= told();
  }

  return {
    warn(kind, fields, message) {
      if (mayTell(kind)) log.warn(fields, message);
    },
    error(kind, fields, message) {
      if (mayTell(kind)) log.error(fields, message);
    },
  };
}
