// Counts the outcomes of recent requests: how many, how many failures, on how many keys. Its size is constant under any
// load: time is divided into slices, and a slice stores at most `minKeys` keys.

/** Counts of the last `withinMs`, exact to a tenth of it. */
export interface FailureWindow {
  /** A request has ended with an outcome. */
  counted(now: number): void;
  /** One of the counted requests was a failure. */
  failed(key: string, now: number): void;
  sums(now: number): { readonly requests: number; readonly failures: number; readonly hasEnoughKeys: boolean };
  clear(): void;
}

interface Slice {
  /** `now` divided by the slice's length. */
  readonly number: number;
  requests: number;
  failures: number;
  readonly keys: Set<string>;
}

const SLICES = 10;

/** `now` is in milliseconds and never goes back. `minKeys`: the number of different keys that suffices. */
export function createFailureWindow(withinMs: number, minKeys: number): FailureWindow {
  const sliceMs = withinMs / SLICES;
  let slices: Slice[] = [];

  function current(now: number): Slice {
    const number = Math.floor(now / sliceMs);
    const last = slices.at(-1);
    if (last?.number === number) return last;
    slices = slices.filter((slice) => slice.number > number - SLICES);
    const next: Slice = { number, requests: 0, failures: 0, keys: new Set() };
    slices.push(next);
    return next;
  }

  return {
    counted(now) {
      current(now).requests += 1;
    },
    failed(key, now) {
      const slice = current(now);
      slice.failures += 1;
      if (slice.keys.size < minKeys) slice.keys.add(key);
    },
    sums(now) {
      current(now);
      let requests = 0;
      let failures = 0;
      const keys = new Set<string>();
      for (const slice of slices) {
        requests += slice.requests;
        failures += slice.failures;
        for (const key of slice.keys) keys.add(key);
      }
      return { requests, failures, hasEnoughKeys: keys.size >= minKeys };
    },
    clear() {
      slices = [];
    },
  };
}
