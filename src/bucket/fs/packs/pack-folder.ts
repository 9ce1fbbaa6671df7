// The folder of packs, `packs/<number>`: small blobs one behind the other, so that many share one write and one fsync.
// Packs are only appended to; what is dead in them goes when the rest is moved away (catalogue rows say what lives where).
// Synchronous, for the writer thread. It does not know the catalogue.
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { closeSynced } from "../files.ts";
import type { PackPlace } from "../writer/write-operations.ts";
import { syncDirectory, unlinkIfThere } from "./blob-folder.ts";

/** Where a pack lies. */
export function packPath(dataDir: string, pack: number): string {
  return `${dataDir}/packs/${pack}`;
}

/** The numbers of packs among the names of the folder. */
export function packNumbers(names: readonly string[]): number[] {
  return names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number);
}

export interface PackFolder {
  /** The pack with the highest number, which alone may still grow; 0 before there is one. */
  readonly newest: number;
  /** Says where the bytes will be after `flush`. They are not copied: they must not change until then. */
  append(bytes: Uint8Array): PackPlace;
  /** Puts what was appended since the last flush on the disk. When it throws, nothing of that is there. */
  flush(): void;
  /** Forgets what was appended since the last flush. */
  dropAppended(): void;
  /** True when the pack is there and long enough; what was appended counts. */
  has(place: PackPlace, size: number): boolean;
  /** Throws where the pack is missing or ends before. */
  read(place: PackPlace, size: number): Buffer;
  stat(pack: number): Stats | undefined;
  /** No error when the file is not there. */
  remove(pack: number): void;
  close(): void;
}

/** At this size a pack is closed and the next one begun. Bytes. */
const PACK_BYTES = 67_108_864;
// What a failed write has torn lies on pages of its own, never on those of bytes that were acknowledged.
const PAGE_BYTES = 4_096;

interface GrowingPack {
  readonly pack: number;
  readonly descriptor: number;
  /** Everything before is on the disk, and not written again. */
  end: number;
  isNameSynced: boolean;
}

/** `newestKnown`: the highest number in the catalogue, which is never given to another pack. */
export function openPackFolder(dataDir: string, newestKnown: number, packBytes = PACK_BYTES): PackFolder {
  const folder = `${dataDir}/packs`;
  let newest = Math.max(newestKnown, ...packNumbers(readdirSync(folder)));
  let growing: GrowingPack | undefined;
  let appended: Uint8Array[] = [];
  let appendedBytes = 0;

  function stat(pack: number): Stats | undefined {
    return statSync(packPath(dataDir, pack), { throwIfNoEntry: false });
  }

  /** The newest pack goes on where the last life ended; what that left behind its last row is dead. */
  function openGrowing(): GrowingPack {
    const end = pageAfter(stat(newest)?.size ?? packBytes);
    if (end < packBytes) {
      const descriptor = openSync(packPath(dataDir, newest), "r+");
      // A crash may have come before its name was on the disk.
      return { pack: newest, descriptor, end, isNameSynced: false };
    }
    const pack = newest + 1;
    const descriptor = openSync(packPath(dataDir, pack), "wx+", 0o600);
    newest = pack;
    return { pack, descriptor, end: 0, isNameSynced: false };
  }

  function dropAppended(): void {
    appended = [];
    appendedBytes = 0;
  }

  function write(pack: GrowingPack): void {
    let at = pack.end;
    for (const bytes of joinAdjacent(appended)) {
      writeAll(pack.descriptor, bytes, at);
      at += bytes.byteLength;
    }
    fdatasyncSync(pack.descriptor);
    if (!pack.isNameSynced) syncDirectory(folder);
    pack.isNameSynced = true;
    pack.end = pageAfter(at);
  }

  /** Its number may be another file's as soon as it is closed, whatever closing reports. */
  function closeGrowing({ descriptor }: GrowingPack): void {
    growing = undefined;
    closeSynced(descriptor);
  }

  return {
    get newest() {
      return newest;
    },
    append(bytes) {
      growing ??= openGrowing();
      const place = { pack: growing.pack, at: growing.end + appendedBytes };
      appended.push(bytes);
      appendedBytes += bytes.byteLength;
      return place;
    },
    flush() {
      if (growing === undefined || appended.length === 0) return;
      try {
        write(growing);
      } catch (error) {
        truncate(growing);
        throw error;
      } finally {
        dropAppended();
      }
      if (growing.end >= packBytes) closeGrowing(growing);
    },
    dropAppended,
    has({ pack, at }, size) {
      if (pack === growing?.pack && at + size <= growing.end + appendedBytes) return true;
      return (stat(pack)?.size ?? 0) >= at + size;
    },
    read({ pack, at }, size) {
      const descriptor = openSync(packPath(dataDir, pack), "r");
      try {
        const bytes = Buffer.allocUnsafe(size);
        for (let filled = 0; filled < size; ) {
          const got = readSync(descriptor, bytes, filled, size - filled, at + filled);
          if (got === 0) throw new Error(`pack ${pack} ends before byte ${at + size}`);
          filled += got;
        }
        return bytes;
      } finally {
        closeSync(descriptor);
      }
    },
    stat,
    remove(pack) {
      unlinkIfThere(packPath(dataDir, pack));
    },
    close() {
      if (growing !== undefined) closeGrowing(growing);
    },
  };
}

function pageAfter(offset: number): number {
  return Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES;
}

function writeAll(descriptor: number, bytes: Uint8Array, at: number): void {
  for (let written = 0; written < bytes.byteLength; ) {
    written += writeSync(descriptor, bytes, written, bytes.byteLength - written, at + written);
  }
}

/** After a write that failed: a full disk gets its room back, and the next write goes to the same place. */
function truncate({ descriptor, end }: GrowingPack): void {
  try {
    ftruncateSync(descriptor, end);
  } catch {
    // The disk is failing: what was written stays, without a row, until it is overwritten.
  }
}

/** Bodies that lie one behind the other in memory are written at once. */
function joinAdjacent(chunks: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (const chunk of chunks) {
    const last = joined.at(-1);
    if (last?.buffer === chunk.buffer && last.byteOffset + last.byteLength === chunk.byteOffset) {
      joined[joined.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.byteLength + chunk.byteLength);
    } else {
      joined.push(chunk);
    }
  }
  return joined;
}
