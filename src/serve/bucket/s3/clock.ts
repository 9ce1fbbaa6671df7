// Compares this server's clock with the `Date` of S3's responses, because servers of one store compare their times.
import type { Log } from "../../../core/log.ts";
import { CLOCK_ALLOWANCE_MS } from "../remote/remote.ts";

export interface Clock {
  /** `date`: the header of a response, in whole seconds. `sentAt`: when its request was sent. */
  compare(date: string | undefined, sentAt: number): void;
  /** For the operator; undefined while the clocks agree. */
  note(): string | undefined;
}

/** `now`: Unix milliseconds. The first difference above the allowance is logged. */
export function createClock(now: () => number, log: Log): Clock {
  let differenceMs = 0;
  let isLogged = false;
  function note(): string | undefined {
    if (differenceMs <= CLOCK_ALLOWANCE_MS) return undefined;
    return `the clock of this server differs from that of S3 by ${Math.round(differenceMs / 1_000)} s; set it by NTP`;
  }
  return {
    compare(date, sentAt) {
      const theirs = Date.parse(date ?? "");
      if (Number.isNaN(theirs)) return;
      // S3 wrote it between the request and its response, up to a second after the time that it says.
      differenceMs = Math.max(0, theirs - now(), sentAt - (theirs + 1_000));
      const found = note();
      if (found === undefined || isLogged) return;
      isLogged = true;
      log.warn({ differenceMs }, found);
    },
    note,
  };
}
