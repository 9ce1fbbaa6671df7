// Remembers which keys of a bucket have changed since a given generation, so that a read that began before a change
// leaves no copy. For changes long ago only the generation is kept; then every key counts as changed.
import type { Key } from "../../../core/object.ts";

/** Bound of the remembered keys, the last to change: more than change while a slow image arrives. */
const MAX_KEYS = 10_000;

export function createChangedKeys(maxKeys = MAX_KEYS) {
  /** Ordered by the last change. */
  const changedAt = new Map<Key, number>();
  let generation = 0;
  let forgotten = 0;

  return {
    /** Rises with every change. */
    get generation(): number {
      return generation;
    },
    note(keys: readonly Key[]): void {
      generation += 1;
      for (const key of keys) {
        changedAt.delete(key);
        changedAt.set(key, generation);
      }
      for (const [oldest, at] of changedAt) {
        if (changedAt.size <= maxKeys) return;
        changedAt.delete(oldest);
        forgotten = at;
      }
    },
    /** Whether the key may have changed since `generation` was read. */
    hasChanged: (key: Key, since: number) => (changedAt.get(key) ?? forgotten) > since,
  };
}
