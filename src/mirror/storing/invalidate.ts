// What the origin takes back while it waits for the store, or just when it has been stored.
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import type { TakenBack } from "./pending-writes.ts";
import type { WriteBack } from "./write-back.ts";

export interface TakeBackParts {
  readonly stored: Stored;
  readonly writeBack: Pick<WriteBack, "tryAgain">;
  readonly log: Log;
}

/** Gives up what arrives or waits for the key, or lies beside the bucket since an earlier run. The returned function never throws. */
export function createTakeBack({ stored, writeBack, log }: TakeBackParts): (told: TakenBack) => void {
  async function giveUp(told: TakenBack): Promise<void> {
    const { key, askedAt, fate } = told;
    const images = stored.waiting.takeBack(told);
    // So that their files and notes go now: a crash would leave them to the next start.
    if (images.length > 0) writeBack.tryAgain(stored.bucketId, key);
    for (const { info, fill } of images) await stored.undo(info, fill.epoch, fate);
    if (stored.expected.size > 0) await stored.expected.takeBack(key, { askedAt, fate });
  }

  return (told) => {
    giveUp(told).catch((err: unknown) => {
      const about = { bucket: stored.bucketId, key: told.key, err };
      log.warn(about, "an image that its origin took back could not be given up");
    });
  };
}
