// A few lines where there could be one for each image: of every kind of failure the first ones of a minute are told in
// full, the rest as one line of counts when the minute is over.
import type { Log } from "../log.ts";

export interface FailureLog {
  /** `kind`: what is counted together; a few fixed words. */
  warn(kind: string, fields: object, message: string): void;
  error(kind: string, fields: object, message: string): void;
}

const LINES = 3;
const WINDOW_MS = 60_000;

/** `about`: fields of the line of counts. */
export function createFailureLog(log: Log, about: object): FailureLog {
  const counts = new Map<string, number>();

  function tellRest(): void {
    const untold = [...counts].filter(([, count]) => count > LINES).map(([kind, count]) => [kind, count - LINES]);
    counts.clear();
    if (untold.length > 0) log.warn({ ...about, ...Object.fromEntries(untold) }, "more images failed in this minute");
  }

  function mayTell(kind: string): boolean {
    if (counts.size === 0) setTimeout(tellRest, WINDOW_MS).unref();
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= LINES;
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
