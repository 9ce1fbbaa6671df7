// The ratio of two measurements that were made in pairs, so that other work on the machine slows both down. Pure.

/** A median and an interval that has the true one with a probability of at least 95 %. */
export interface Middle {
  readonly median: number;
  readonly from: number;
  readonly to: number;
}

const MISSES_AT_MOST = 0.05;

/**
 * The interval is by ranks: it assumes no normal distribution, and a busy machine makes none. With fewer than six
 * values it is from the least to the greatest, and has the true median less often.
 */
export function middleOf(values: readonly number[]): Middle {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const half = sorted.length / 2;
  const outside = ranksOutside(sorted.length);
  return {
    median: (at(Math.ceil(half) - 1) + at(Math.floor(half))) / 2,
    from: at(outside),
    to: at(sorted.length - 1 - outside),
  };
}

/** Values on each side that the interval leaves out. Each value is above the true median as often as below it. */
function ranksOutside(count: number): number {
  let [outside, ways, chance] = [0, 1, 0];
  for (;;) {
    chance += (2 * ways) / 2 ** count;
    if (chance > MISSES_AT_MOST) return Math.max(0, outside - 1);
    outside += 1;
    ways *= (count - outside + 1) / outside;
  }
}
