// The images that an earlier run left unstored beside one bucket. A look-up of such a key stores its images first. It
// reads no files; adopt.ts does.
import type { Key } from "../../core/object.ts";
import type { Invalidation } from "./pending-writes.ts";

export interface RecoveredWrite {
  /** Stores the image if possible. Resolves with true if it stays for the next start. Runs once; never rejects. */
  store(): Promise<boolean>;
  /** Gives the image up, because a later answer of its origin has withdrawn it. */
  invalidate(invalidation: LaterInvalidation): Promise<void>;
}

export type LaterInvalidation = Pick<Invalidation, "requestedAt" | "fate">;

export interface RecoveredWrites {
  /** Registers an image until the returned function is called. */
  add(key: Key, object: RecoveredWrite): () => void;
  /** Stores the images of the key. Resolves with true if one of them stays for the next start. */
  storeNow(key: Key): Promise<boolean>;
  invalidate(key: Key, invalidation: LaterInvalidation): Promise<void>;
  /** The epoch of the key was raised: look-ups need not wait for its images any more. */
  forget(key: Key): void;
  /** The number of keys. */
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
