// Watches the free space of the disk. Below the minimum no new object is stored, and serving continues.
import { statfs } from "node:fs/promises";
import { storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";

export interface DiskSpace {
  readonly freeBytes: number;
  /** Below it nothing is stored. */
  readonly minFreeBytes: number;
}

export interface FreeSpace {
  /**
   * Throws store_full if less than the minimum is free. Reads the disk's state at most once a second. Undefined: enough
   * was free within that second.
   */
  check(): Promise<void> | undefined;
  /**
   * The bytes that temporary files may take together. Unbounded while more than the minimum is free; otherwise the free
   * bytes, at most 512 MiB. The value is up to a second old, because it does not wait for the disk.
   */
  spoolAllowance(): number;
  /** Reads the disk's state now. Undefined if it cannot be read. */
  read(): Promise<DiskSpace | undefined>;
  /** Sets another minimum. */
  resize(bytes: number): void;
}

const CHECK_EVERY_MS = 1_000;
const MAX_ALLOWANCE_BYTES = 536_870_912;

export function createFreeSpace(dir: string, minFreeBytes: number): FreeSpace {
  let checkedAt = Number.NEGATIVE_INFINITY;
  let freeBytes: Promise<number> = Promise.resolve(0);
  let lastFree = Number.POSITIVE_INFINITY;
  /** The latest read has ended well. */
  let isKnown = false;

  async function readFreeBytes(startedAt: number): Promise<number> {
    const { bavail, bsize } = await statfs(dir);
    lastFree = bavail * bsize;
    isKnown = startedAt === checkedAt;
    return lastFree;
  }

  function updateIfDue(): void {
    if (performance.now() - checkedAt < CHECK_EVERY_MS) return;
    checkedAt = performance.now();
    isKnown = false;
    freeBytes = readFreeBytes(checkedAt);
    freeBytes.catch(() => undefined); // check() reports it; without a check nobody needs it.
  }

  async function refuseIfFull(): Promise<void> {
    const free = await freeBytes.catch((error: unknown) => {
      throw storeFailure(error, `read the free space of "${dir}"`);
    });
    if (free >= minFreeBytes) return;
    throw new HuiyuanError(
      "store_full",
      `Cannot store a new object in "${dir}": ${free} bytes are free, ${minFreeBytes} must stay free`,
    );
  }

  return {
    check() {
      if (minFreeBytes === 0) return undefined;
      updateIfDue();
      return isKnown && lastFree >= minFreeBytes ? undefined : refuseIfFull();
    },
    spoolAllowance() {
      if (minFreeBytes === 0) return Number.POSITIVE_INFINITY;
      updateIfDue();
      return lastFree < minFreeBytes ? Math.min(lastFree, MAX_ALLOWANCE_BYTES) : Number.POSITIVE_INFINITY;
    },
    read: () =>
      statfs(dir).then(
        ({ bavail, bsize }) => ({ freeBytes: bavail * bsize, minFreeBytes }),
        () => undefined, // The next write reports the failure.
      ),
    resize(bytes) {
      minFreeBytes = bytes;
    },
  };
}
