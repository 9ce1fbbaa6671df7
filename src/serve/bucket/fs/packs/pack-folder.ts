// The folder of packs, `packs/<number>`: files of many small blobs, which so share one fsync. Packs are
// only appended to. Dead bytes are reclaimed by moving the live blobs out and removing the pack. Synchronous, for the
// writer thread. It does not read the catalogue, whose rows say where each blob is.

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
  writevSync,
} from "node:fs";
import { closeSynced, syncDirectory } from "../../../../core/files.ts";
import { packPath } from "../blob-places.ts";
import type { PackPlace } from "../catalogue/write-operations.ts";
import { unlinkIfThere } from "./blob-folder.ts";

/** The pack numbers among the names of the folder. */
export function packNumbers(names: readonly string[]): number[] {
  return names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number);
}

export interface PackFolder {
  /** The pack with the highest number, the only one that may grow. 0 if there is none. */
  readonly newest: number;
  /** Returns the place that the bytes get. They must not change before `flush`, which writes them. */
  append(bytes: Uint8Array): PackPlace;
  /** Writes and syncs the bytes that were appended since the last flush. If it throws, none of them is stored. */
  flush(): void;
  /** Frees the places of the bytes that were appended since the last flush. */
  dropAppended(): void;
  /** True if the pack exists and is long enough, with the appended bytes. */
  has(place: PackPlace, size: number): boolean;
  /** Throws if the pack is missing or ends too early. */
  read(place: PackPlace, size: number): Buffer;
  stat(pack: number): Stats | undefined;
  /** Does nothing if the file is missing. */
  remove(pack: number): void;
  close(): void;
}

/** A pack of this size is closed and the next one is begun. Bytes. */
const PACK_BYTES = 67_108_864;
// Each flush begins on a new page, so that a torn write cannot damage acknowledged bytes.
const PAGE_BYTES = 4_096;

interface GrowingPack {
  readonly pack: number;
  readonly descriptor: number;
  /** All bytes before this offset are synced and are not written again. */
  end: number;
  isNameSynced: boolean;
}

/** `newestKnown`: the highest pack number in the catalogue. No new pack gets it. */
export function openPackFolder(dataDir: string, newestKnown: number, packBytes = PACK_BYTES): PackFolder {
  const folder = `${dataDir}/packs`;
  let newest = Math.max(newestKnown, ...packNumbers(readdirSync(folder)));
  let growing: GrowingPack | undefined;
  /** Placed behind the growing pack's `end`. */
  let appended: Uint8Array[] = [];
  let appendedBytes = 0;

  function stat(pack: number): Stats | undefined {
    return statSync(packPath(dataDir, pack), { throwIfNoEntry: false });
  }

  /** Continues the newest pack of the last run. Bytes behind its last row are dead. */
  function openGrowing(): GrowingPack {
    const end = pageAfter(stat(newest)?.size ?? packBytes);
    if (end < packBytes) {
      const descriptor = openSync(packPath(dataDir, newest), "r+");
      // The last run may have crashed before it synced the name.
      return { pack: newest, descriptor, end, isNameSynced: false };
    }
    const pack = newest + 1;
    const descriptor = openSync(packPath(dataDir, pack), "wx+", 0o600);
    newest = pack;
    return { pack, descriptor, end: 0, isNameSynced: false };
  }

  /** The descriptor must not be used after close, even if close reports an error: another file may have its number. */
  function closeGrowing({ descriptor }: GrowingPack): void {
    growing = undefined;
    closeSynced(descriptor);
  }

  function dropAppended(): void {
    appended = [];
    appendedBytes = 0;
  }

  return {
    get newest() {
      return newest;
    },
    append(bytes) {
      growing ??= openGrowing();
      const at = growing.end + appendedBytes;
      appended.push(bytes);
      appendedBytes += bytes.byteLength;
      return { pack: growing.pack, at };
    },
    flush() {
      if (growing === undefined || appendedBytes === 0) return;
      writeAndSync(growing.descriptor, appended, growing.end);
      if (!growing.isNameSynced) syncDirectory(folder);
      growing.isNameSynced = true;
      growing.end = pageAfter(growing.end + appendedBytes);
      dropAppended();
      if (growing.end >= packBytes) closeGrowing(growing);
    },
    dropAppended,
    has({ pack, at }, size) {
      const isAppended = pack === growing?.pack && at >= growing.end && at + size <= growing.end + appendedBytes;
      return isAppended || (stat(pack)?.size ?? 0) >= at + size;
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

/** If it throws, the space is free again, and the next write begins at the same offset. */
function writeAndSync(descriptor: number, pieces: readonly Uint8Array[], at: number): void {
  try {
    const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    let written = writevSync(descriptor, pieces, at);
    // A disk that took a part gives its reason when it is asked for the rest.
    if (written < bytes)
      written += writeSync(descriptor, Buffer.concat(pieces).subarray(written), 0, bytes - written, at + written);
    if (written < bytes) throw Object.assign(new Error(`${written} of ${bytes} bytes written`), { code: "ENOSPC" });
    fdatasyncSync(descriptor);
  } catch (error) {
    truncate(descriptor, at);
    throw error;
  }
}

function truncate(descriptor: number, end: number): void {
  try {
    ftruncateSync(descriptor, end);
  } catch {
    // The disk is failing. The bytes have no row and will be overwritten.
  }
}
