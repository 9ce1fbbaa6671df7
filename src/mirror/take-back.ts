// What the origin takes back while it waits for the store, or just when it has been stored.
import type { Log } from "../log.ts";
import type { Key } from "../object.ts";
import type { Stored } from "./stored.ts";
import { spokenAt } from "./versions.ts";
import type { Fate } from "./waiting.ts";
import type { WriteBack } from "./write-back.ts";

/** An answer of the origin about a key that has no image for the store. */
export interface TakenBack {
  readonly key: Key;
  readonly epoch: number;
  /** When it was asked, Unix milliseconds: what was asked for later is no concern of it. */
  readonly askedAt: number;
  readonly fate: Exclude<Fate, "wanted">;
}

export interface TakeBackParts {
  readonly stored: Stored;
  readonly writeBack: Pick<WriteBack, "tryAgain">;
  readonly log: Log;
}

/** Gives up what waits for the key. The returned function never throws. */
export function createTakeBack({ stored, writeBack, log }: TakeBackParts): (told: TakenBack) => void {
  return ({ key, epoch, askedAt, fate }) => {
    const image = stored.waiting.newest({ key, epoch });
    if (image === undefined || spokenAt(image.info) > askedAt) return;
    image.fate = fate;
    // So that its file and note go now: a crash would leave them to the next start.
    writeBack.tryAgain(stored.bucketId, key);
    stored.undo(image.info, image.fill.epoch, fate).catch((err: unknown) => {
      log.warn({ bucket: stored.bucketId, key, err }, "an image that its origin took back could not be given up");
    });
  };
}
