// What the origin takes back while it waits for the store, or just when it has been stored.
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import type { Invalidation } from "./pending-writes.ts";
import type { WriteBack } from "./write-back.ts";

export interface InvalidationParts {
  readonly stored: Stored;
  readonly writeBack: Pick<WriteBack, "retryNow">;
  readonly log: Log;
}

/** Gives up what arrives or waits for the key, or lies beside the bucket since an earlier run. The returned function never throws. */
export function createInvalidation({
  stored,
  writeBack,
  log,
}: InvalidationParts): (invalidation: Invalidation) => void {
  async function giveUp(invalidation: Invalidation): Promise<void> {
    const { key, requestedAt, fate } = invalidation;
    const images = stored.pendingWrites.invalidate(invalidation);
    // So that their files and notes go now: a crash would leave them to the next start.
    if (images.length > 0) writeBack.retryNow(stored.bucketId, key);
    for (const { info, fill } of images) await stored.invalidateVersion(info, fill.epoch, fate);
    if (stored.recovered.size > 0) await stored.recovered.invalidate(key, { requestedAt, fate });
  }

  return (invalidation) => {
    giveUp(invalidation).catch((err: unknown) => {
      const about = { bucket: stored.bucketId, key: invalidation.key, err };
      log.warn(about, "an image that its origin took back could not be given up");
    });
  };
}
