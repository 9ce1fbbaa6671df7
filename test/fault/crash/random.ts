// Random numbers that are reproducible from a seed.

export interface Random {
  /** An integer from 0 to `bound` − 1; a fraction in `bound` is ignored. */
  below(bound: number): number;
}

/** mulberry32: short, and good enough to choose positions to damage. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(bound) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * Math.floor(bound));
    },
  };
}
