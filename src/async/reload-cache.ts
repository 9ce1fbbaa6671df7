// Values that outlive a reload of the settings: what the next round asks for under the same identity is handed on.

export interface ReloadCache<Value> {
  get(identity: string): Value | undefined;
  /** The value of this identity, made where there is none yet; it is in this round from now on. */
  take(identity: string, make: () => Value): Value;
  /** Ends a round: what was not taken in it is forgotten and returned. */
  keep(): Value[];
  /** Ends a round as if it had not been: what was made in it is forgotten and returned. */
  abandon(): Value[];
  /** What the last round that ended has kept. */
  values(): readonly Value[];
}

export function createReloadCache<Value>(): ReloadCache<Value> {
  let old = new Map<string, Value>();
  let current = new Map<string, Value>();
  return {
    get: (identity) => current.get(identity) ?? old.get(identity),
    take(identity, make) {
      const value = current.get(identity) ?? old.get(identity) ?? make();
      current.set(identity, value);
      return value;
    },
    keep() {
      const forgotten = [...old].filter(([identity]) => !current.has(identity)).map(([, value]) => value);
      old = current;
      current = new Map();
      return forgotten;
    },
    abandon() {
      const made = [...current].filter(([identity]) => !old.has(identity)).map(([, value]) => value);
      current = new Map();
      return made;
    },
    values: () => [...old.values()],
  };
}
