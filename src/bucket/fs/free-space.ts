// The room that must stay free on the disk: below it nothing new is stored, and serving goes on.
import { statfs } from "node:fs/promises";
import { HuiyuanError } from "../../core/errors.ts";
import { storeFailure } from "./failure.ts";

export interface FreeSpace {
  /** Throws store_full when less than the minimum is free. The disk is asked at most once a second. */
  check(): Promise<void>;
  /**
   * Bytes that files which come and go may take together: no bound while more than the minimum is free, else as much as is
   * left, and 512 MiB at the most. As of a second ago, for it does not wait for the disk.
   */
  spoolAllowance(): number;
  /** Another minimum from now on. */
  resize(minFreeBytes: number): void;
}

export interface FreeSpaceOptions {
  readonly dir: string;
  readonly minFreeBytes: number;
}

const CHECK_EVERY_MS = 1_000;
const MAX_ALLOWANCE_BYTES = 536_870_912;

export function createFreeSpace({ dir, ...options }: FreeSpaceOptions): FreeSpace {
  let { minFreeBytes } = options;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let freeBytes: Promise<number> = Promise.resolve(0);
  let lastFree = Number.POSITIVE_INFINITY;

  async function readFreeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dir);
    lastFree = bavail * bsize;
    return lastFree;
  }

  function updateIfDue(): void {
    if (performance.now() - checkedAt < CHECK_EVERY_MS) return;
    checkedAt = performance.now();
    freeBytes = readFreeBytes();
    freeBytes.catch(() => undefined); // Told to whoever waits for it.
  }

  return {
    async check() {
      if (minFreeBytes === 0) return;
      updateIfDue();
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
    spoolAllowance() {
      if (minFreeBytes === 0) return Number.POSITIVE_INFINITY;
      updateIfDue();
      return lastFree < minFreeBytes ? Math.min(lastFree, MAX_ALLOWANCE_BYTES) : Number.POSITIVE_INFINITY;
    },
    resize(next) {
      minFreeBytes = next;
    },
  };
}
