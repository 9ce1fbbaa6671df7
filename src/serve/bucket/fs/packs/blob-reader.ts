// Reads blobs in whole 64 KiB blocks and checks each block against its CRC-32 before it returns a byte. Keeps a bounded
// cache of open descriptors; blobs in the same pack share one. It does not handle damaged blobs: the caller does
// (`onDamage`).
import { fstatSync } from "node:fs";
import { LRUCache } from "lru-cache";
import { errorCodeOf, storeFailure } from "../../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../../core/errors.ts";
import { closeFile, openFile, readInto } from "../../../../core/files.ts";
import { firstBadBlock } from "../../../body/spool/hashing.ts";
import { BLOCK_BYTES } from "../../../body/spool/spool.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import { blobPath, packPath } from "../blob-places.ts";
import type { StoredBlob } from "../catalogue/reads.ts";
import type { QuarantineRequest } from "../catalogue/write-operations.ts";
import { createQuickReads } from "./quick-reads.ts";
import { createReadQueue } from "./read-queue.ts";

/** A blob whose bytes differ from the stored ones. */
export interface Damage extends Omit<QuarantineRequest, "cacheBucketPrefixes"> {
  /** Description of the damage, for the log. */
  readonly found: string;
}

export interface BlobReaders {
  /**
   * Undefined if there is no such blob. Also undefined if its file is missing or has another size, which is reported as
   * damage. Throws store_failed; throws store_corrupt if the blob is known to be damaged.
   */
  open(sha256: string, size: number): Promise<ObjectReader | undefined>;
  /** As RecentReads.read. */
  readRecent(sha256: string, size: number, into?: Buffer): Buffer | undefined;
  /** Drops cached descriptors of these blobs, which were removed or moved. */
  forget(sha256s: readonly string[]): void;
  /** Drops cached descriptors of packs. The space of a removed pack is free once its last descriptor is closed. */
  forgetPacks(): void;
  close(): void;
}

export interface BlobReaderOptions {
  readonly dataDir: string;
  readonly blob: (sha256: string) => StoredBlob | undefined;
  /** Quarantines the blob. The descriptor that showed the damage stays open until this resolves. */
  readonly onDamage: (damage: Damage) => Promise<void>;
}

/** An open file with a count of its users. Closed when the last user releases it. */
interface SharedFile {
  readonly descriptor: number;
  readonly inode: number;
  readonly size: number;
  /** Caches, readers and running reads. */
  users: number;
}

interface OpenBlob extends StoredBlob {
  readonly sha256: string;
  readonly size: number;
  readonly file: SharedFile;
  /** Time of the last read of the whole blob, by the clock of `QuickReads`. Undefined if there was none. */
  readAt: number | undefined;
}

// Bounds of the descriptors that are cached without a reader. Node raises its own limit to the hard one, which is
// 20,000 or more nearly everywhere. If the limit is lower, `openSparing` closes cached ones.
const MAX_IDLE_BLOBS = 4_096;
const MAX_IDLE_PACKS = 512;
// The process or the system has no descriptor left.
const EXHAUSTED_CODES = new Set(["EMFILE", "ENFILE"]);

export function createBlobReaders({ dataDir, blob: find, onDamage }: BlobReaderOptions): BlobReaders {
  const idleBlobs = new LRUCache<string, OpenBlob>({
    max: MAX_IDLE_BLOBS,
    dispose: ({ file }) => release(file),
  });
  const idlePacks = new LRUCache<number, SharedFile>({ max: MAX_IDLE_PACKS, dispose: release });
  const quickReads = createQuickReads();
  const readQueue = createReadQueue();

  /** Opens a file. If no descriptor is left, closes half of the cached files and retries, until none is left. */
  async function openSparing(path: string): Promise<SharedFile> {
    for (;;) {
      try {
        // Through the thread pool: the kernel may have to read a folder or an inode from the disk.
        const descriptor = await openFile(path, "r");
        return { descriptor, ...statOpen(descriptor), users: 1 };
      } catch (error) {
        if (idleBlobs.size + idlePacks.size === 0 || !EXHAUSTED_CODES.has(errorCodeOf(error))) throw error;
        dropHalf(idleBlobs);
        dropHalf(idlePacks);
      }
    }
  }

  /** The caller must release the file. */
  async function openPack(pack: number): Promise<SharedFile> {
    const idle = idlePacks.get(pack);
    if (idle !== undefined) return retain(idle);
    const file = await openSparing(packPath(dataDir, pack));
    // Replaces the file of a caller that opened the pack at the same time; that one closes after its last use.
    idlePacks.set(pack, file);
    return retain(file);
  }

  async function openBlob(sha256: string, size: number): Promise<OpenBlob | undefined> {
    const known = find(sha256);
    if (known === undefined) return undefined;
    const { place, sums, isDamaged } = known;
    if (isDamaged)
      throw new HuiyuanError("store_corrupt", `Cannot read the blob ${sha256}: it was quarantined as damaged`);
    let file: SharedFile;
    try {
      file = await (place === undefined ? openSparing(blobPath(dataDir, sha256)) : openPack(place.pack));
    } catch (error) {
      if (errorCodeOf(error) !== "ENOENT") throw storeFailure(error, `open the blob ${sha256}`);
      await onDamage({ sha256, place, inode: undefined, found: "the file is missing" });
      return undefined;
    }
    // A pack grows, so its size proves nothing. A read detects missing bytes.
    if (place !== undefined || file.size === size) {
      return { sha256, size, sums, place, isDamaged, file, readAt: undefined };
    }
    try {
      await onDamage({ sha256, place, inode: file.inode, found: `${file.size} bytes instead of ${size}` });
    } finally {
      release(file);
    }
    return undefined;
  }

  async function readChecked(blob: OpenBlob, start: number, end: number, into?: Buffer): Promise<Buffer> {
    const { sha256, place, file } = blob;
    const first = Math.floor(start / BLOCK_BYTES);
    const from = first * BLOCK_BYTES;
    const to = Math.min(blob.size, (Math.floor(end / BLOCK_BYTES) + 1) * BLOCK_BYTES);
    // Only whole blocks can be checked, so `into` is unusable if the range is less.
    const bytes = into?.length === to - from ? into : Buffer.allocUnsafe(to - from);
    const got = await readBlocks(blob, bytes, from);
    const isShort = got < bytes.length;
    const bad = isShort ? undefined : firstBadBlock(bytes, blob.sums, first);
    if (isShort || bad !== undefined) {
      const fault = isShort ? `it ends at byte ${from + got}` : `block ${bad} has changed`;
      idleBlobs.delete(sha256);
      await onDamage({ sha256, place, inode: file.inode, found: fault });
      throw new HuiyuanError("store_corrupt", `Cannot read the blob ${sha256}: ${fault}; it was quarantined`);
    }
    if (bytes.length === blob.size) blob.readAt = quickReads.now();
    // A view would lose the head room of the buffer (body/head-room.ts), so there is none if the range is all of it.
    const isAll = start === from && end + 1 === to;
    return isAll ? bytes : bytes.subarray(start - from, end + 1 - from);
  }

  /** Returns the bytes read. Throws store_failed. */
  async function readBlocks({ sha256, place, file, readAt }: OpenBlob, bytes: Buffer, from: number): Promise<number> {
    const position = (place?.at ?? 0) + from;
    try {
      if (quickReads.mayRead(readAt, bytes.length)) return quickReads.read(file.descriptor, bytes, position);
      return await readInto(file.descriptor, bytes, position);
    } catch (error) {
      throw storeFailure(error, `read the blob ${sha256}`);
    }
  }

  function readerOf(blob: OpenBlob): ObjectReader {
    const { file } = blob;
    let isOpen = true;
    let hadBytes = 0;

    async function readPart(start: number, end: number, into?: Buffer): Promise<Buffer> {
      const turn = readQueue.enter({ size: blob.size, hadBytes });
      hadBytes += end + 1 - start;
      if (turn !== undefined) await turn;
      try {
        return await readChecked(blob, start, end, into);
      } finally {
        readQueue.leave();
      }
    }

    return {
      async read(start, end, into) {
        if (!isOpen) throw new HuiyuanError("internal", `Cannot read the blob ${blob.sha256}: its reader is closed`);
        // The read counts as a user, because the reader may be closed while it runs.
        retain(file);
        try {
          const isAll = end + 1 - start === blob.size;
          return await (isAll ? readChecked(blob, start, end, into) : readPart(start, end, into));
        } finally {
          release(file);
        }
      },
      close() {
        if (isOpen) release(file);
        isOpen = false;
      },
    };
  }

  function readRecent(sha256: string, size: number, into = Buffer.allocUnsafe(size)): Buffer | undefined {
    const blob = idleBlobs.get(sha256);
    if (blob?.size !== size || !quickReads.mayRead(blob.readAt, size)) return undefined;
    const { file, place, sums } = blob;
    blob.readAt = undefined;
    try {
      const isWhole = quickReads.read(file.descriptor, into, place?.at ?? 0) === size;
      if (!isWhole || firstBadBlock(into, sums, 0) !== undefined) return undefined;
    } catch {
      return undefined; // The reader of open() repeats the read and reports its error.
    }
    blob.readAt = quickReads.now();
    return into;
  }

  return {
    readRecent,
    async open(sha256, size) {
      const idle = idleBlobs.get(sha256);
      if (idle !== undefined && idle.size === size) {
        retain(idle.file);
        return readerOf(idle);
      }
      const blob = await openBlob(sha256, size);
      if (blob === undefined) return undefined;
      retain(blob.file);
      idleBlobs.set(sha256, blob);
      return readerOf(blob);
    },
    forget(sha256s) {
      for (const sha256 of sha256s) idleBlobs.delete(sha256);
    },
    forgetPacks() {
      idlePacks.clear();
    },
    close() {
      idleBlobs.clear();
      idlePacks.clear();
    },
  };
}

/** Without the thread pool: the inode of an open file is in memory. Closes the file if it throws. */
function statOpen(descriptor: number): Pick<SharedFile, "inode" | "size"> {
  try {
    const { ino, size } = fstatSync(descriptor);
    return { inode: ino, size };
  } catch (error) {
    closeFile(descriptor);
    throw error;
  }
}

function retain(file: SharedFile): SharedFile {
  file.users += 1;
  return file;
}

function release(file: SharedFile): void {
  file.users -= 1;
  if (file.users === 0) closeFile(file.descriptor);
}

function dropHalf(cache: { readonly size: number; pop(): unknown }): void {
  const target = Math.floor(cache.size / 2);
  while (cache.size > target) cache.pop();
}
