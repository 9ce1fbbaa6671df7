// The room that must stay free on the disk: below it nothing new is stored, and serving goes on.
import { statfs } from "node:fs/promises";
import { HuiyuanError } from "../../errors.ts";
import { storeFailure } from "./failure.ts";

export interface FreeSpace {
  /** Throws store_full when less than the minimum is free. The disk is asked at most once a second. */
  check(): Promise<void>;
}

export interface FreeSpaceOptions {
  readonly dir: string;
  readonly minFreeBytes: number;
}

const ASK_EVERY_MS = 1_000;

export function createFreeSpace({ dir, minFreeBytes }: FreeSpaceOptions): FreeSpace {
  let askedAt = Number.NEGATIVE_INFINITY;
  let freeBytes: Promise<number> = Promise.resolve(0);

  async function ask(): Promise<number> {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  }

  return {
    async check() {
      if (minFreeBytes === 0) return;
      if (performance.now() - askedAt >= ASK_EVERY_MS) {
        askedAt = performance.now();
        freeBytes = ask();
      }
      const free = await freeBytes.catch((error: unknown) => {
        throw storeFailure(error, `ask how much room is left in "${dir}"`);
      });
      if (free < minFreeBytes) {
        throw new HuiyuanError(
          "store_full",
          `Cannot store anything new in "${dir}": ${free} bytes are free, ${minFreeBytes} must stay free`,
        );
      }
    },
  };
}
