// Opens all spools of the program and bounds the memory that they share. A spool that finds it used up goes to disk.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { LiveSet } from "../../../async/live-map.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { DigestName } from "../../../core/object.ts";
import { ArrivingSpool, type SpoolParts, type TransientRoom } from "./arriving-spool.ts";
import { ALL_DIGESTS } from "./hashing.ts";
import { SPOOL_SUFFIX, type Spool } from "./spool.ts";
import { createSpoolFile, type Disk, REAL_DISK, type SpoolFile } from "./spool-file.ts";

export interface SpoolPool {
  /**
   * Opens a spool with one hold, the caller's. Throws draining after `close`; not_kept if the disk refuses bytes at the
   * moment and memory has no room for `size`.
   */
  open(options?: SpoolOptions): Spool;
  /** Spools that are held, and their bytes in memory. */
  readonly usage: { readonly spools: number; readonly bytes: number };
  /** Bytes that the files of all spools may use together at the moment. */
  room(): number;
  /** Changes the memory bound; spools above it go to disk as they grow. */
  resize(memoryBytes: number): void;
  /**
   * Opens no more spools and resolves once the files of released spools are removed. The files of held spools stay: a
   * finished body that could not be stored in time is adopted at the next start.
   */
  close(): Promise<void>;
}

export interface SpoolOptions {
  /** Computed in addition to the pool's. */
  readonly digests?: readonly DigestName[];
  /** The body fails as soon as the disk refuses bytes, because it is of no use then. */
  readonly failsWithDisk?: boolean;
  /** Bytes of the body, if they are known. */
  readonly size?: number | undefined;
}

export interface SpoolPoolOptions {
  /** An existing directory for spool files, on the store's file system. */
  readonly dir: string;
  /** Bytes of all spools in memory, before they go to disk. */
  readonly memoryBytes: number;
  /** Bytes of one spool in memory, before it goes to disk. */
  readonly perSpoolBytes?: number;
  /** Computed of every body in addition to SHA-256; default all. */
  readonly digests?: ReadonlySet<DigestName>;
  /** Bytes of all transients, beside `memoryBytes`; default 64 MiB, three of the largest images of the defaults. */
  readonly maxTransientBytes?: number;
  readonly log: Log;
  readonly disk?: Disk;
  /**
   * As SpoolPool.room, checked before each write. A body beyond it is a transient, as on a full disk.
   * Default: no bound.
   */
  readonly room?: () => number;
}

const PER_SPOOL_BYTES = 262_144;
const MAX_TRANSIENT_BYTES = 67_108_864;
const LOG_INTERVAL_MS = 60_000;

export function createSpoolPool(options: SpoolPoolOptions): SpoolPool {
  const {
    dir,
    perSpoolBytes = PER_SPOOL_BYTES,
    digests: defaultDigests = ALL_DIGESTS,
    log,
    disk = REAL_DISK,
    maxTransientBytes = MAX_TRANSIENT_BYTES,
  } = options;
  const { room = () => Number.POSITIVE_INFINITY } = options;
  let { memoryBytes } = options;
  let bytes = 0;
  let spools = 0;
  /** Bytes of files that are not discarded, including those that the store has renamed. */
  let fileBytes = 0;
  let failureLoggedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  const discards = new LiveSet<Promise<void>>();

  let transientBytes = 0;
  /** The disk refused the latest write. */
  let isDiskFailing = false;
  const transients: TransientRoom = {
    take(taken) {
      if (transientBytes + taken > maxTransientBytes) throw noRoom();
      transientBytes += taken;
    },
    release(freed) {
      transientBytes -= freed;
    },
  };
  const memory = {
    count(change: number) {
      bytes += change;
    },
    get isUsedUp() {
      return bytes - transientBytes > memoryBytes;
    },
  };

  const boundedDisk: Disk = {
    ...disk,
    async write(descriptor, pieces, position) {
      if (fileBytes >= room()) throw Object.assign(new Error("no room for more spool files"), { code: "ENOSPC" });
      const taken = await disk.write(descriptor, pieces, position);
      fileBytes += taken;
      isDiskFailing = false;
      return taken;
    },
  };

  /** For all spools without further digests. */
  const shared = {
    memory,
    perSpoolBytes,
    newFile: () => createSpoolFile(join(dir, randomBytes(16).toString("hex") + SPOOL_SUFFIX), boundedDisk),
    diskFailed(error: HuiyuanError) {
      isDiskFailing = true;
      // A full disk fails for every large image. A caller that wanted to store one logs that itself.
      if (performance.now() - failureLoggedAt < LOG_INTERVAL_MS) return;
      failureLoggedAt = performance.now();
      log.error({ err: error }, "cannot write an arriving image to disk, so it is not stored");
    },
    released,
  };
  const usual: SpoolParts = { ...shared, transients, digests: defaultDigests };

  function released(file: SpoolFile | undefined): void {
    spools -= 1;
    if (file === undefined) return;
    const discard = file
      .discard()
      .catch((error: unknown) => log.warn({ err: asHuiyuanError(error) }, "cannot remove a spool file"))
      .finally(() => {
        fileBytes -= file.written;
        forgetDiscard();
      });
    const forgetDiscard = discards.add(discard);
  }

  return {
    open({ digests = [], failsWithDisk = false, size = 0 } = {}) {
      if (isClosed) throw new HuiyuanError("draining", "Cannot open a spool: the server is stopping");
      // Before a client has got the head. Without transients the disk is tried again.
      const isLarge = size > perSpoolBytes && transientBytes > 0 && transientBytes + size > maxTransientBytes;
      if (isDiskFailing && isLarge) throw noRoom();
      spools += 1;
      const isUsual = !failsWithDisk && digests.every((name) => defaultDigests.has(name));
      if (isUsual) return new ArrivingSpool(usual);
      return new ArrivingSpool({
        ...shared,
        transients: failsWithDisk ? undefined : transients,
        digests: new Set([...defaultDigests, ...digests]),
      });
    },
    get usage() {
      return { spools, bytes };
    },
    room,
    resize(next) {
      memoryBytes = next;
    },
    async close() {
      isClosed = true;
      await Promise.all(discards);
    },
  };
}

function noRoom(): HuiyuanError {
  const message = "Cannot hold an image in memory, as the disk refuses it: there is no room";
  return new HuiyuanError("not_kept", message, { retryAfterSeconds: 1 });
}
