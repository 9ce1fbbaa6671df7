// Keeps values across reloads of the settings: a value taken again under the same identity is reused.

export interface ReloadCache<Value> {
  get(identity: string): Value | undefined;
  /** Returns the value of this identity, made if there is none; it then belongs to the current round. */
  take(identity: string, make: () => Value): Value;
  /** Ends a round: values not taken in it are dropped and returned. */
  keep(): Value[];
  /** The values of the last round that ended with keep(), and those taken since. */
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
    values: () => [...new Map([...old, ...current]).values()],
  };
}
