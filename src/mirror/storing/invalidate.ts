// Invalidates images that their origin has withdrawn while they are pending, or that have just been stored.
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import type { Invalidation } from "./pending-writes.ts";
import type { WriteBack } from "./write-back.ts";

export interface InvalidationParts {
  readonly stored: Stored;
  readonly writeBack: Pick<WriteBack, "retryNow">;
  readonly log: Log;
}

/**
 * The returned function gives up the pending and recovered writes of a key, also those that still arrive. It never
 * throws.
 */
export function createInvalidation({
  stored,
  writeBack,
  log,
}: InvalidationParts): (invalidation: Invalidation) => void {
  async function giveUp(invalidation: Invalidation): Promise<void> {
    const { key, requestedAt, fate } = invalidation;
    const images = stored.pendingWrites.invalidate(invalidation);
    // Their files and notes are removed now; after a crash the next start would store them.
    if (images.length > 0) writeBack.retryNow(stored.bucketId, key);
    for (const { info, fill } of images) await stored.invalidateVersion(info, fill.epoch, fate);
    if (stored.recovered.size > 0) await stored.recovered.invalidate(key, { requestedAt, fate });
  }

  return (invalidation) => {
    giveUp(invalidation).catch((err: unknown) => {
      const about = { bucket: stored.bucketId, key: invalidation.key, err };
      log.warn(about, "an image that its origin has withdrawn could not be removed");
    });
  };
}
