// All spools of a program, and the memory that they may take together. A spool that finds it used up goes to disk.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { LiveSet } from "../../async/live-map.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { DigestName } from "../../core/object.ts";
import { ALL_DIGESTS } from "./hashing.ts";
import { openSpool } from "./open-spool.ts";
import { SPOOL_SUFFIX, type Spool } from "./spool.ts";
import { createSpoolFile, type Disk, REAL_DISK } from "./spool-file.ts";

export interface SpoolPool {
  /** A new spool with one hold, the caller's. `digests`: wanted of its body beside the pool's. Throws draining after `close`. */
  open(digests?: readonly DigestName[]): Spool;
  /** Spools that somebody holds, and the bytes of them that are in memory. */
  readonly usage: { readonly spools: number; readonly bytes: number };
  /** Bytes that the files of all spools may take together at the moment. */
  room(): number;
  /** Another bound from now on; spools above it go to disk as they grow. */
  resize(memoryBytes: number): void;
  /**
   * Opens no more and resolves when the files of released spools are gone. Those still held stay: a finished body that
   * could not be stored in time is adopted at the next start.
   */
  close(): Promise<void>;
}

export interface SpoolPoolOptions {
  /** Where spool files go; on the store's file system, and there already. */
  readonly dir: string;
  /** Bytes in memory of all spools together, before they go to disk. */
  readonly memoryBytes: number;
  /** Bytes of one spool in memory, before it goes to disk. */
  readonly perSpoolBytes?: number;
  /** Made of every body beside SHA-256; default all. */
  readonly digests?: ReadonlySet<DigestName>;
  readonly log: Log;
  readonly disk?: Disk;
  /** As SpoolPool.room, asked before each write; what goes beyond is passed on as where a disk is full. Default: no bound. */
  readonly room?: () => number;
}

const PER_SPOOL_BYTES = 262_144;
const LOG_INTERVAL_MS = 60_000;

export function createSpoolPool(options: SpoolPoolOptions): SpoolPool {
  const {
    dir,
    perSpoolBytes = PER_SPOOL_BYTES,
    digests: defaultDigests = ALL_DIGESTS,
    log,
    disk = REAL_DISK,
  } = options;
  const { room = () => Number.POSITIVE_INFINITY } = options;
  let { memoryBytes } = options;
  let bytes = 0;
  let spools = 0;
  /** Of files that are not discarded, also where the store has renamed them away. */
  let fileBytes = 0;
  let failureLoggedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  const discards = new LiveSet<Promise<void>>();

  const memory = {
    count(change: number) {
      bytes += change;
    },
    get isUsedUp() {
      return bytes > memoryBytes;
    },
    get isHalfUsed() {
      return bytes > memoryBytes / 2;
    },
  };

  const boundedDisk: Disk = {
    ...disk,
    async write(descriptor, pieces, position) {
      if (fileBytes >= room()) throw Object.assign(new Error("no room for more spool files"), { code: "ENOSPC" });
      const taken = await disk.write(descriptor, pieces, position);
      fileBytes += taken;
      return taken;
    },
  };

  return {
    open(digests = []) {
      if (isClosed) throw new HuiyuanError("draining", "Cannot open a spool: the server is stopping");
      spools += 1;
      return openSpool({
        memory,
        perSpoolBytes,
        digests: digests.every((name) => defaultDigests.has(name))
          ? defaultDigests
          : new Set([...defaultDigests, ...digests]),
        newFile: () => createSpoolFile(join(dir, randomBytes(16).toString("hex") + SPOOL_SUFFIX), boundedDisk),
        diskFailed(error) {
          // A full disk fails for every large image; whoever wanted to keep one says so himself.
          if (performance.now() - failureLoggedAt < LOG_INTERVAL_MS) return;
          failureLoggedAt = performance.now();
          log.error({ err: error }, "an arriving image cannot be written to disk; it is passed on only");
        },
        released(file) {
          spools -= 1;
          if (file === undefined) return;
          const discard = file
            .discard()
            .catch((error: unknown) => log.warn({ err: asHuiyuanError(error) }, "a spool file was not removed"))
            .finally(() => {
              fileBytes -= file.written;
              forgetDiscard();
            });
          const forgetDiscard = discards.add(discard);
        },
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
