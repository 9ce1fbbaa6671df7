// Reading blobs: a small cache of open descriptors, whole 64 KiB blocks, each checked against its CRC-32 before a byte
// of it is given out. What to do about a damaged blob is the caller's affair (`onDamage`).
import { fstatSync } from "node:fs";
import { crc32 } from "node:zlib";
import { LRUCache } from "lru-cache";
import { BLOCK_BYTES } from "../../body/spool.ts";
import { HuiyuanError } from "../../errors.ts";
import type { ObjectReader } from "../driver.ts";
import { blobPath } from "./blob-folder.ts";
import { errorCodeOf, storeFailure } from "./failure.ts";
import { closeFile, openFile, readInto } from "./files.ts";

/** A blob whose bytes are not what was stored. `inode` as in SetAsideRequest. */
export interface Damage {
  readonly sha256: string;
  readonly inode: number | undefined;
  /** For the log: what was found. */
  readonly found: string;
}

export interface BlobReaders {
  /** Undefined when there is no such blob, or its file is missing or of another size (reported as damage). Throws store_failed. */
  open(sha256: string, size: number): Promise<ObjectReader | undefined>;
  /** Forgets cached descriptors: the blobs' files are gone. */
  forget(sha256s: readonly string[]): void;
  close(): void;
}

export interface BlobReaderOptions {
  readonly dataDir: string;
  readonly blockSums: (sha256: string) => Buffer | undefined;
  /** Sets the blob aside; the descriptor that showed the damage stays open until this resolves. */
  readonly onDamage: (damage: Damage) => Promise<void>;
}

interface OpenBlob {
  readonly sha256: string;
  readonly size: number;
  readonly sums: Buffer;
  readonly descriptor: number;
  readonly inode: number;
  /** Readers, and reads under way. */
  users: number;
  isCached: boolean;
}

// Kept open for blobs that nobody reads at the moment. Node raises its own limit to the hard one, nearly everywhere 20,000
// or more; where it is less, `openSparing` gives descriptors back.
const MAX_IDLE_DESCRIPTORS = 4_096;
// No descriptor is left to the process, or to the system.
const EXHAUSTED_CODES = new Set(["EMFILE", "ENFILE"]);

export function createBlobReaders({ dataDir, blockSums, onDamage }: BlobReaderOptions): BlobReaders {
  const cache = new LRUCache<string, OpenBlob>({
    max: MAX_IDLE_DESCRIPTORS,
    dispose(blob) {
      blob.isCached = false;
      closeIfUnused(blob);
    },
  });

  /** Where no descriptor is left, half of the cached ones go, and again while that is not enough. */
  async function openSparing(path: string): Promise<number> {
    for (;;) {
      try {
        // Through the pool: a folder or an inode that is not in memory is read from the disk here.
        return await openFile(path, "r");
      } catch (error) {
        if (cache.size === 0 || !EXHAUSTED_CODES.has(errorCodeOf(error))) throw error;
        const kept = Math.floor(cache.size / 2);
        while (cache.size > kept) cache.pop();
      }
    }
  }

  async function openBlob(sha256: string, size: number): Promise<OpenBlob | undefined> {
    const sums = blockSums(sha256);
    if (sums === undefined) return undefined;
    let descriptor: number;
    try {
      descriptor = await openSparing(blobPath(dataDir, sha256));
    } catch (error) {
      if (errorCodeOf(error) !== "ENOENT") throw storeFailure(error, `open the blob ${sha256}`);
      await onDamage({ sha256, inode: undefined, found: "the file is missing" });
      return undefined;
    }
    try {
      // Not through the pool: the inode of an open file is in memory.
      const stats = fstatSync(descriptor);
      if (stats.size === size) {
        return { sha256, size, sums, descriptor, inode: stats.ino, users: 1, isCached: true };
      }
      await onDamage({ sha256, inode: stats.ino, found: `${stats.size} bytes instead of ${size}` });
    } catch (error) {
      closeFile(descriptor);
      throw storeFailure(error, `open the blob ${sha256}`);
    }
    closeFile(descriptor);
    return undefined;
  }

  async function readChecked(blob: OpenBlob, start: number, end: number): Promise<Buffer> {
    const first = Math.floor(start / BLOCK_BYTES);
    const from = first * BLOCK_BYTES;
    const to = Math.min(blob.size, (Math.floor(end / BLOCK_BYTES) + 1) * BLOCK_BYTES);
    const bytes = Buffer.allocUnsafe(to - from);
    const got = await readInto(blob.descriptor, bytes, from).catch((error: unknown) => {
      throw storeFailure(error, `read the blob ${blob.sha256}`);
    });
    const fault = got < bytes.length ? `it ends at byte ${from + got}` : firstBadBlock(bytes, blob.sums, first);
    if (fault !== undefined) {
      cache.delete(blob.sha256);
      await onDamage({ sha256: blob.sha256, inode: blob.inode, found: fault });
      throw new HuiyuanError("store_corrupt", `Cannot read the blob ${blob.sha256}: ${fault}; it has been set aside`);
    }
    return bytes.subarray(start - from, end + 1 - from);
  }

  function readerOf(blob: OpenBlob): ObjectReader {
    let isOpen = true;
    return {
      async read(start, end) {
        if (!isOpen) throw new HuiyuanError("internal", `Cannot read the blob ${blob.sha256}: its reader is closed`);
        // The read holds the descriptor itself: a reader may be closed while it is under way.
        blob.users += 1;
        try {
          return await readChecked(blob, start, end);
        } finally {
          leave(blob);
        }
      },
      close() {
        if (isOpen) leave(blob);
        isOpen = false;
      },
    };
  }

  return {
    async open(sha256, size) {
      const cached = cache.get(sha256);
      if (cached !== undefined && cached.size === size) {
        cached.users += 1;
        return readerOf(cached);
      }
      const blob = await openBlob(sha256, size);
      if (blob === undefined) return undefined;
      cache.set(sha256, blob);
      return readerOf(blob);
    },
    forget(sha256s) {
      for (const sha256 of sha256s) cache.delete(sha256);
    },
    close: () => cache.clear(),
  };
}

function leave(blob: OpenBlob): void {
  blob.users -= 1;
  closeIfUnused(blob);
}

function closeIfUnused(blob: OpenBlob): void {
  if (blob.users === 0 && !blob.isCached) closeFile(blob.descriptor);
}

/** What is wrong, or undefined. `bytes` are whole blocks, the first of them number `first`. */
function firstBadBlock(bytes: Buffer, sums: Buffer, first: number): string | undefined {
  for (let offset = 0, block = first; offset < bytes.length; offset += BLOCK_BYTES, block += 1) {
    const isKnown = sums.length >= (block + 1) * 4;
    if (!isKnown || crc32(bytes.subarray(offset, offset + BLOCK_BYTES)) !== sums.readUInt32BE(block * 4)) {
      return `block ${block} has changed`;
    }
  }
  return undefined;
}
