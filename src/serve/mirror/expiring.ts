// A bounded map of entries that expire, for short-lived facts such as "the origin has no such object". It caches no
// bodies; memory-cache.ts does. Use a clock that never steps: if the time of day were set back an hour, a 404 of half a
// minute would last an hour.
// lru-cache would allocate room for all entries at once: 5.8 MB for each mirror.

/** `now` is a clock such as performance.now(). Beyond `maxEntries` the oldest entry is removed. */
export interface Expiring<Value> {
  get(key: string, now: number): Value | undefined;
  /** A `ttlMs` of 0 or less keeps nothing. */
  set(key: string, value: Value, until: { readonly now: number; readonly ttlMs: number }): void;
  delete(key: string): void;
}

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
      let removed = 0;
      for (const [oldest, { expiresAt }] of entries) {
        // Each set() removes up to two expired entries, so that unused ones do not stay until the map is full.
        if (entries.size <= maxEntries && (expiresAt > now || removed === 2)) return;
        entries.delete(oldest);
        removed += 1;
      }
    },
    delete: (key) => void entries.delete(key),
  };
}
