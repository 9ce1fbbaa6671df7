// So many requests a second, with at most one second's worth saved up. Pure arithmetic over the clock that is passed in.

export interface TokenBucket {
  /** Milliseconds until one may be taken with `spare` left over (as far as the bucket can hold them); 0 for now. */
  readyInMs(now: number, spare: number): number;
  /** Takes one, also where there is none. */
  take(now: number): void;
}

/** Full at `now`. `perSecond` above 0; below 1 the bucket still holds one. */
export function createTokenBucket(perSecond: number, startedAt: number): TokenBucket {
  const size = Math.max(1, perSecond);
  let tokens = size;
  let at = startedAt;
  const refill = (now: number) => {
    tokens = Math.min(size, tokens + ((now - at) * perSecond) / 1_000);
    at = now;
  };
  return {
    readyInMs(now, spare) {
      refill(now);
      const missing = Math.min(size, 1 + spare) - tokens;
      // Below a thousandth: what floating point leaves of a whole one.
      return missing < 1e-3 ? 0 : (missing * 1_000) / perSecond;
    },
    take(now) {
      refill(now);
      tokens -= 1;
    },
  };
}
