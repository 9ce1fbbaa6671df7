// The pace of a migration from its counters at several moments: objects and bytes a second, and the time left. Pure.

export interface Sample {
  /** Unix milliseconds. */
  readonly at: number;
  /** Objects that are copied or have failed. */
  readonly done: number;
  readonly bytes: number;
}

export interface Pace {
  readonly perSecond: number;
  readonly bytesPerSecond: number;
  /** Undefined: nothing moves. */
  readonly secondsLeft: number | undefined;
}

/** Milliseconds that the pace is measured over: a single poll says little. */
const WINDOW_MS = 20_000;

/** Starts again if the counters go back, as with a retry of failures. */
export function addSample(samples: readonly Sample[], next: Sample): readonly Sample[] {
  const last = samples.at(-1);
  if (last === undefined || next.done < last.done || next.bytes < last.bytes) return [next];
  return [...samples.filter(({ at }) => next.at - at <= WINDOW_MS), next];
}

/** `left`: objects that are not done. Undefined with fewer than two samples. */
export function paceOf(samples: readonly Sample[], left: number): Pace | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.at <= first.at) return undefined;
  const seconds = (last.at - first.at) / 1_000;
  const perSecond = (last.done - first.done) / seconds;
  return {
    perSecond,
    bytesPerSecond: (last.bytes - first.bytes) / seconds,
    secondsLeft: perSecond > 0 ? left / perSecond : undefined,
  };
}
