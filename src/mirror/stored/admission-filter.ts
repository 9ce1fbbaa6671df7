// Names of what has been read from the disk once, without its bytes: what comes again soon is worth keeping in memory.
// It keeps nothing itself; that is hot.ts.

export interface AdmissionFilter {
  /**
   * Notes a read of `bytes`. True the second time, where at most `withinBytes` were read in between, this one included; the name is
   * then forgotten.
   */
  isRepeatedRead(id: string, bytes: number, withinBytes: number): boolean;
}

/** At most `maxNames`, the latest. */
export function createAdmissionFilter(maxNames: number): AdmissionFilter {
  /** By name: how many bytes had been read before. The oldest first. */
  const seen = new Map<string, number>();
  let readBytes = 0;
  return {
    isRepeatedRead(id, bytes, withinBytes) {
      readBytes += bytes;
      const at = seen.get(id);
      seen.delete(id);
      if (at !== undefined && readBytes - at <= withinBytes) return true;
      seen.set(id, readBytes);
      if (seen.size > maxNames) {
        const oldest = seen.keys().next();
        if (oldest.done !== true) seen.delete(oldest.value);
      }
      return false;
    },
  };
}
