// What is there only for a while: a map and a set whose entries come and go with every request. V8 lets a table that a Map or
// Set has outgrown point at the next one, for iterators. Once one of them has lived long enough to be old, every table after it
// stays until the next full collection, and with it whatever was in it when it was outgrown: all that a fill or a client
// has made, copied twice on the way. Here tables hold but cells, which are emptied when their entry goes.

interface Cell<Value> {
  value: Value | undefined;
}

/** As much of a Map as is wanted of one; `keys` are small, and stay for a while. */
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

  /** Those that are there now, in the order in which they came. */
  values(): Value[] {
    return [...this.#cells.values()].flatMap(({ value }) => value ?? []);
  }
}

interface Node<Value> {
  /** Undefined: it has gone. */
  value: Value | undefined;
  before: Node<Value> | undefined;
  after: Node<Value> | undefined;
}

/** Keeps the order of arrival, and lets anyone leave at once. */
export class LiveSet<Value extends object> {
  #first: Node<Value> | undefined;
  #last: Node<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Who has been here longest. */
  get first(): Value | undefined {
    return this.#first?.value;
  }

  /** Returns what takes it out again, and says whether it was there still. */
  add(value: Value): () => boolean {
    const node: Node<Value> = { value, before: this.#last, after: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.after = node;
    this.#last = node;
    this.#size += 1;
    return () => this.#remove(node);
  }

  /** Those who are there now; who leaves meanwhile is passed over. */
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
    // An old place that pointed at younger ones would keep them as a table does.
    node.value = node.before = node.after = undefined;
    this.#size -= 1;
    return true;
  }
}
