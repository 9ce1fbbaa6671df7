// A small bounded memory of things that are true for a while: "the origin has no such object", "it has just failed".
// Not a cache of bodies; that is hot.ts.
//
// Its time is that of a clock that never steps: by the time of day, one that is set back an hour would make a 404 of
// half a minute last an hour.

/** Entries expire by the clock that is passed in, as performance.now(); beyond `maxEntries` the oldest goes. */
export interface Expiring<Value> {
  get(key: string, now: number): Value | undefined;
  /** `ttlMs` of 0 or less remembers nothing. */
  set(key: string, value: Value, until: { readonly now: number; readonly ttlMs: number }): void;
  delete(key: string): void;
  clear(): void;
}

/** An empty memory. */
export function createExpiring<Value>(maxEntries: number): Expiring<Value> {
  const entries = new Map<string, { readonly value: Value; readonly expiresAt: number }>();
  return {
    get(key, now) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (entry.expiresAt > now) return entry.value;
      entries.delete(key);
      return undefined;
    },
    set(key, value, { now, ttlMs }) {
      if (ttlMs <= 0) return;
      entries.delete(key);
      entries.set(key, { value, expiresAt: now + ttlMs });
      let looked = 0;
      for (const [oldest, { expiresAt }] of entries) {
        // Two for one, so that what nobody asks for again does not stay until the memory is full.
        if (entries.size <= maxEntries && (expiresAt > now || looked === 2)) return;
        entries.delete(oldest);
        looked += 1;
      }
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  };
}
