// Which keys of a bucket have changed since a moment: what was asked for before a change of its key is not kept after it. Of
// changes long ago only the moment is known; any key may have had them.
import type { Key } from "../../core/object.ts";

export interface ChangedKeys {
  /** Rises with every change. */
  readonly moment: number;
  note(keys: readonly Key[]): void;
  /** Whether the key may have changed since `moment` was read. */
  hasChanged(key: Key, since: number): boolean;
}

/** Keys that are remembered, those that changed last: more than change while a slow image comes. */
const MAX_KEYS = 10_000;

export function createChangedKeys(maxKeys = MAX_KEYS): ChangedKeys {
  /** In the order of their last changes. */
  const changedAt = new Map<Key, number>();
  let moment = 0;
  let forgotten = 0;

  return {
    get moment() {
      return moment;
    },
    note(keys) {
      moment += 1;
      for (const key of keys) {
        changedAt.delete(key);
        changedAt.set(key, moment);
      }
      for (const [oldest, at] of changedAt) {
        if (changedAt.size <= maxKeys) return;
        changedAt.delete(oldest);
        forgotten = at;
      }
    },
    hasChanged: (key, since) => (changedAt.get(key) ?? forgotten) > since,
  };
}
