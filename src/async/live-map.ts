// A map and a set for short-lived entries, for example one for each request. V8 keeps a link from the old table of a
// grown Map or Set to its new table, for iterators. Once such an old table is in old space, all later tables survive
// until the next full collection. Their entries survive with them: all data of finished fills and clients. Here the
// tables hold only small cells, which are emptied when an entry is removed.

interface Cell<Value> {
  value: Value | undefined;
}

/** The subset of Map that callers need. Keys are small and may survive for a while. */
export class LiveMap<Key, Value extends object> {
  readonly #cells = new Map<Key, Cell<Value>>();

  get size(): number {
    return this.#cells.size;
  }

  get(key: Key): Value | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: Key, value: Value): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { value });
    else cell.value = value;
  }

  delete(key: Key): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) return;
    cell.value = undefined;
    this.#cells.delete(key);
  }

  /** The current values, in insertion order. */
  values(): Value[] {
    return [...this.#cells.values()].flatMap(({ value }) => value ?? []);
  }
}

interface Node<Value> {
  /** Undefined once removed. */
  value: Value | undefined;
  before: Node<Value> | undefined;
  after: Node<Value> | undefined;
}

/** A set in insertion order, with constant-time removal. */
export class LiveSet<Value extends object> {
  #first: Node<Value> | undefined;
  #last: Node<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The oldest value. */
  get first(): Value | undefined {
    return this.#first?.value;
  }

  /** Returns a function that removes the value and reports whether it was still present. */
  add(value: Value): () => boolean {
    const node: Node<Value> = { value, before: this.#last, after: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.after = node;
    this.#last = node;
    this.#size += 1;
    return () => this.#remove(node);
  }

  /** Iterates over the values present at the start; values removed meanwhile are skipped. */
  *[Symbol.iterator](): Generator<Value, void, undefined> {
    const nodes: Node<Value>[] = [];
    for (let node = this.#first; node !== undefined; node = node.after) nodes.push(node);
    for (const { value } of nodes) if (value !== undefined) yield value;
  }

  #remove(node: Node<Value>): boolean {
    const { before, after } = node;
    if (node.value === undefined) return false;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // A removed node that pointed at younger nodes would keep them alive, as an old table does.
    node.value = node.before = node.after = undefined;
    this.#size -= 1;
    return true;
  }
}
