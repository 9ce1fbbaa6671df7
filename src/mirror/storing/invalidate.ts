// What the origin takes back while it waits for the store, or just when it has been stored.
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import type { Invalidation } from "./pending-writes.ts";
import type { WriteBack } from "./write-back.ts";

export interface InvalidationParts {
  readonly stored: Stored;
  readonly writeBack: Pick<WriteBack, "tryAgain">;
  readonly log: Log;
}

/** Gives up what arrives or waits for the key, or lies beside the bucket since an earlier run. The returned function never throws. */
export function createInvalidation({ stored, writeBack, log }: InvalidationParts): (told: Invalidation) => void {
  async function giveUp(told: Invalidation): Promise<void> {
    const { key, askedAt, fate } = told;
    const images = stored.waiting.invalidate(told);
    // So that their files and notes go now: a crash would leave them to the next start.
    if (images.length > 0) writeBack.tryAgain(stored.bucketId, key);
    for (const { info, fill } of images) await stored.undo(info, fill.epoch, fate);
    if (stored.recovered.size > 0) await stored.recovered.invalidate(key, { askedAt, fate });
  }

  return (told) => {
    giveUp(told).catch((err: unknown) => {
      const about = { bucket: stored.bucketId, key: told.key, err };
      log.warn(about, "an image that its origin took back could not be given up");
    });
  };
}
