// Reading blobs: a small cache of open descriptors, whole 64 KiB blocks, each checked against its CRC-32 before a byte
// of it is given out. Blobs lie in files of their own or in packs, whose descriptors they share. What to do about a
// damaged blob is the caller's affair (`onDamage`).
import { fstatSync } from "node:fs";
import { LRUCache } from "lru-cache";
import { crc32 } from "../../../body/spool/crc32.ts";
import { BLOCK_BYTES } from "../../../body/spool/spool.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import type { StoredBlob } from "../catalogue/reads.ts";
import { errorCodeOf, storeFailure } from "../failure.ts";
import { closeFile, openFile, readInto } from "../files.ts";
import type { QuarantineRequest } from "../writer/write-operations.ts";
import { blobPath } from "./blob-folder.ts";
import { packPath } from "./pack-folder.ts";
import { createQuickReads } from "./quick-reads.ts";
import { createReadQueue } from "./read-queue.ts";

/** A blob whose bytes are not what was stored. */
export interface Damage extends Omit<QuarantineRequest, "cacheBucketPrefixes"> {
  /** For the log: what was found. */
  readonly found: string;
}

export interface BlobReaders {
  /**
   * Undefined when there is no such blob, or its bytes are missing or not so many (reported as damage). Throws
   * store_corrupt for one whose bytes are known to be wrong, and store_failed.
   */
  open(sha256: string, size: number): Promise<ObjectReader | undefined>;
  /** Forgets what is kept open of these blobs: they are gone, or elsewhere. */
  forget(sha256s: readonly string[]): void;
  /** Lets go of packs that nobody reads at the moment: some have been removed, and their room is free when they are closed. */
  forgetPacks(): void;
  close(): void;
}

export interface BlobReaderOptions {
  readonly dataDir: string;
  readonly blob: (sha256: string) => StoredBlob | undefined;
  /** Sets the blob aside; the descriptor that showed the damage stays open until this resolves. */
  readonly onDamage: (damage: Damage) => Promise<void>;
}

/** Closed when its last user has left. */
interface SharedFile {
  readonly descriptor: number;
  readonly inode: number;
  readonly size: number;
  /** Caches, readers, and reads under way. */
  users: number;
}

interface OpenBlob extends StoredBlob {
  readonly sha256: string;
  readonly size: number;
  readonly file: SharedFile;
  /** By the clock of `QuickReads`, of a small blob read whole. */
  readAt: number | undefined;
}

// Kept open for blobs that nobody reads at the moment. Node raises its own limit to the hard one, nearly everywhere 20,000
// or more; where it is less, `openSparing` gives descriptors back.
const MAX_IDLE_BLOBS = 4_096;
const MAX_IDLE_PACKS = 512;
// No descriptor is left to the process, or to the system.
const EXHAUSTED_CODES = new Set(["EMFILE", "ENFILE"]);

export function createBlobReaders({ dataDir, blob: find, onDamage }: BlobReaderOptions): BlobReaders {
  const idleBlobs = new LRUCache<string, OpenBlob>({
    max: MAX_IDLE_BLOBS,
    dispose: ({ file }) => release(file),
  });
  const idlePacks = new LRUCache<number, SharedFile>({ max: MAX_IDLE_PACKS, dispose: release });
  const quickReads = createQuickReads();
  const readQueue = createReadQueue();
  const packsOpening = new Map<number, Promise<SharedFile>>();

  /** Where no descriptor is left, half of the cached ones go, and again while that is not enough. */
  async function openSparing(path: string): Promise<SharedFile> {
    for (;;) {
      try {
        // Through the pool: a folder or an inode that is not in memory is read from the disk here.
        const descriptor = await openFile(path, "r");
        return { descriptor, ...statOpen(descriptor), users: 1 };
      } catch (error) {
        if (idleBlobs.size + idlePacks.size === 0 || !EXHAUSTED_CODES.has(errorCodeOf(error))) throw error;
        dropHalf(idleBlobs);
        dropHalf(idlePacks);
      }
    }
  }

  /** The pack's file, with the caller as one more user. Opened once, however many ask. */
  async function openPack(pack: number): Promise<SharedFile> {
    const idle = idlePacks.get(pack);
    if (idle !== undefined) return retain(idle);
    const known = packsOpening.get(pack);
    if (known !== undefined) return retain(await known);
    const opening = openSparing(packPath(dataDir, pack));
    packsOpening.set(pack, opening);
    try {
      const file = await opening;
      idlePacks.set(pack, file);
      return retain(file);
    } finally {
      packsOpening.delete(pack);
    }
  }

  async function openBlob(sha256: string, size: number): Promise<OpenBlob | undefined> {
    const known = find(sha256);
    if (known === undefined) return undefined;
    const { place, sums, isDamaged } = known;
    if (isDamaged)
      throw new HuiyuanError("store_corrupt", `Cannot read the blob ${sha256}: it was set aside as damaged`);
    let file: SharedFile;
    try {
      file = await (place === undefined ? openSparing(blobPath(dataDir, sha256)) : openPack(place.pack));
    } catch (error) {
      if (errorCodeOf(error) !== "ENOENT") throw storeFailure(error, `open the blob ${sha256}`);
      await onDamage({ sha256, place, inode: undefined, found: "the file is missing" });
      return undefined;
    }
    // A pack grows; whether the blob is whole in it is seen when it is read.
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
    // Whole blocks: what was asked for may be less than one of them.
    const bytes = into?.length === to - from ? into : Buffer.allocUnsafe(to - from);
    const got = await readBlocks(blob, bytes, from);
    const fault = got < bytes.length ? `it ends at byte ${from + got}` : firstBadBlock(bytes, blob.sums, first);
    if (fault !== undefined) {
      idleBlobs.delete(sha256);
      await onDamage({ sha256, place, inode: file.inode, found: fault });
      throw new HuiyuanError("store_corrupt", `Cannot read the blob ${sha256}: ${fault}; it has been set aside`);
    }
    if (bytes.length === blob.size) blob.readAt = quickReads.now();
    // What there is room before loses it when a part is taken.
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
        // The read holds the file itself: a reader may be closed while it is under way.
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

  return {
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

/** Not through the pool: the inode of an open file is in memory. Closes the file when it throws. */
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
  const kept = Math.floor(cache.size / 2);
  while (cache.size > kept) cache.pop();
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
