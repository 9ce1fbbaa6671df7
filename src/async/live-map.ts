// A map and a set for short-lived entries, for example one for each request. V8 keeps a link from the old table of a
// grown Map or Set to its new table, for iterators. Once such an old table is in old space, all later tables survive
// until the next full collection. Their entries survive with them: all data of finished fills and clients. Here the
// tables hold only small cells, which are emptied when an entry is removed.

interface Cell<Value> {
  value: Value | undefined;
}

/** The subset of Map that callers need, in insertion order. Keys are small and may survive for a while. */
export class LiveMap<Key, Value extends object> {
  /** Read only. A field: a getter would be called for every request. */
  size = 0;
  readonly #cells = new Map<Key, Cell<Value>>();

  /** The oldest value. */
  get first(): Value | undefined {
    for (const { value } of this.#cells.values()) return value;
    return undefined;
  }

  get(key: Key): Value | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: Key, value: Value): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.size = this.#cells.set(key, { value }).size;
    else cell.value = value;
  }

  /** Returns whether the key was present. */
  delete(key: Key): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    this.#cells.delete(key);
    this.size -= 1;
    return true;
  }

  /** Iterates over the values present at the start; values removed meanwhile are skipped. */
  *values(): Generator<Value, void, undefined> {
    for (const { value } of [...this.#cells.values()]) if (value !== undefined) yield value;
  }
}

/** A set of values, each with a key that only the set knows. A value that is added twice is in it twice. */
export class LiveSet<Value extends object> {
  /** Read only, as that of LiveMap. */
  size = 0;
  readonly #values = new LiveMap<number, Value>();
  #added = 0;

  get first(): Value | undefined {
    return this.#values.first;
  }

  /** Returns a function that removes the value and reports whether it was still present. */
  add(value: Value): () => boolean {
    const key = this.#added;
    this.#added += 1;
    this.#values.set(key, value);
    this.size += 1;
    return () => {
      const wasPresent = this.#values.delete(key);
      if (wasPresent) this.size -= 1;
      return wasPresent;
    };
  }

  [Symbol.iterator](): Generator<Value, void, undefined> {
    return this.#values.values();
  }
}
