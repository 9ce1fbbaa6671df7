// Limits the log lines of failures that may occur for every image: logs the first ones of each kind in a minute, and
// counts the rest in one line at its end. While failures continue, the lines become fewer.
import type { Log } from "../../core/log.ts";

export interface FailureLog {
  /** `kind`: failures of the same kind are counted together; use a few fixed words. */
  warn(kind: string, fields: object, message: string): void;
  error(kind: string, fields: object, message: string): void;
}

/** Lines of each kind in the first minute; afterwards one in each window. */
const LINES = 3;
const MINUTE_MS = 60_000;
/** Each window is twice as long as the one before, as long as it has failures that are not logged. */
const MAX_MINUTES = 60;

/** `about`: fields of the line of counts. `what`: names the failing things, in the plural. */
export function createFailureLog(log: Log, about: object, what = "images"): FailureLog {
  const counts = new Map<string, number>();
  /** The length of the current window; 0: there is none. */
  let minutes = 0;

  const limit = () => (minutes === 1 ? LINES : 1);

  function open(length: number): void {
    minutes = length;
    setTimeout(close, minutes * MINUTE_MS).unref();
  }

  function close(): void {
    const suppressed = [...counts]
      .filter(([, count]) => count > limit())
      .map(([kind, count]) => [kind, count - limit()]);
    counts.clear();
    if (suppressed.length === 0) {
      minutes = 0;
      return;
    }
    log.warn({ ...about, minutes, ...Object.fromEntries(suppressed) }, `more ${what} failed in these minutes`);
    open(Math.min(minutes * 2, MAX_MINUTES));
  }

  const logAt = (level: "warn" | "error") => (kind: string, fields: object, message: string) => {
    if (minutes === 0) open(1);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    if (count <= limit()) log[level](fields, message);
  };

  return { warn: logAt("warn"), error: logAt("error") };
}
