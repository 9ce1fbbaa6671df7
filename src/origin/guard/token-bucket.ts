// A rate limit in requests a second, which saves up at most one second's worth. Pure arithmetic over the clock that is
// passed in.

export interface TokenBucket {
  /** Milliseconds until a token may be taken with `spare` tokens left (limited to the bucket's size); 0 means now. */
  readyInMs(now: number, spare: number): number;
  /** Takes a token, even if there is none. */
  take(now: number): void;
}

/** Full at `now`. `perSecond` is above 0; below 1 the bucket still holds one. */
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
      // Less than a thousandth missing is a rounding error of floating point.
      return missing < 1e-3 ? 0 : (missing * 1_000) / perSecond;
    },
    take(now) {
      refill(now);
      tokens -= 1;
    },
  };
}
