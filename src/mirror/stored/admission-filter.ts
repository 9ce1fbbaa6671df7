// Recognises objects that are read from the bucket twice within a short time: those are worth a place in the memory
// cache. It keeps names only; memory-cache.ts keeps the objects.
import { LRUCache } from "lru-cache";

export interface AdmissionFilter {
  /**
   * Records a read of `bytes`. True at the second read of the name, if at most `withinBytes` were read since the first,
   * this read included; the name is then forgotten.
   */
  isRepeatedRead(id: string, bytes: number, withinBytes: number): boolean;
}

/** Keeps the latest `maxNames` names. */
export function createAdmissionFilter(maxNames: number): AdmissionFilter {
  /** By name: the bytes that had been read before. */
  const seen = new LRUCache<string, number>({ max: maxNames });
  let readBytes = 0;
  return {
    isRepeatedRead(id, bytes, withinBytes) {
      readBytes += bytes;
      const at = seen.get(id);
      seen.delete(id);
      if (at !== undefined && readBytes - at <= withinBytes) return true;
      seen.set(id, readBytes);
      return false;
    },
  };
}
