// Objects that an earlier run has left beside the bucket: whoever asks for one of them has it stored first.
import type { Key } from "../../core/object.ts";
import type { Invalidation } from "./pending-writes.ts";

export interface RecoveredWrite {
  /** Stores it if that may be. Resolves with whether it is still left for the next start; called many times, does it once, never rejects. */
  store(): Promise<boolean>;
  /** Its origin, asked later, has taken it back. */
  invalidate(invalidation: LaterInvalidation): Promise<void>;
}

export type LaterInvalidation = Pick<Invalidation, "requestedAt" | "fate">;

export interface RecoveredWrites {
  /** Until the returned function is called. */
  add(key: Key, object: RecoveredWrite): () => void;
  /** Resolves when what was left for the key has been brought: with whether any of it still waits for the next start. */
  storeNow(key: Key): Promise<boolean>;
  invalidate(key: Key, invalidation: LaterInvalidation): Promise<void>;
  /** The key has moved on, and nobody waits for it any more. */
  forget(key: Key): void;
  readonly size: number;
}

export function createRecoveredWrites(): RecoveredWrites {
  const recovered = new Map<Key, Set<RecoveredWrite>>();
  return {
    add(key, object) {
      const all = recovered.get(key) ?? new Set();
      recovered.set(key, all.add(object));
      return () => {
        all.delete(object);
        if (all.size === 0 && recovered.get(key) === all) recovered.delete(key);
      };
    },
    async storeNow(key) {
      let isLeft = false;
      for (const object of recovered.get(key) ?? []) isLeft = (await object.store()) || isLeft;
      return isLeft;
    },
    async invalidate(key, invalidation) {
      for (const object of recovered.get(key) ?? []) await object.invalidate(invalidation);
    },
    forget(key) {
      recovered.delete(key);
    },
    get size() {
      return recovered.size;
    },
  };
}
