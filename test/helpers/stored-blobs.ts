// Finds the bytes of a data folder from its catalogue and files alone, with no code of the store. For tests that check
// or damage the files on disk.
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../src/core/sqlite.ts";

/** The location of a blob's bytes, from the catalogue. */
export interface StoredBlob {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly size: number;
  /** Path of the blob's own file or of the pack. */
  readonly path: string;
  /** Offset of its first byte in that file. */
  readonly at: number;
  /** Undefined: the blob has its own file. */
  readonly pack: number | undefined;
}

/** All blobs of the catalogue in `data`. */
export function storedBlobs(data: string): readonly StoredBlob[] {
  const database = openSqlite(join(data, "catalogue.db"), { readonly: true });
  try {
    const rows = database
      .prepare<[], { sha256: string; size: number; pack: number | null; at: number | null }>(
        "SELECT sha256, size, pack, pack_at AS at FROM blobs",
      )
      .all();
    return rows.map(({ sha256, size, pack, at }) =>
      pack === null || at === null
        ? { sha256, size, path: ownPath(data, sha256), at: 0, pack: undefined }
        : { sha256, size, path: join(data, "packs", String(pack)), at, pack },
    );
  } finally {
    database.close();
  }
}

/** Returns the blob with these bytes. Throws if there is none. */
export function blobWith(data: string, bytes: Buffer): StoredBlob {
  const wanted = sha256Of(bytes);
  const blob = storedBlobs(data).find(({ sha256 }) => sha256 === wanted);
  if (blob === undefined) throw new Error(`no blob ${wanted} in "${data}"`);
  return blob;
}

/**
 * SHA-256 of the bytes at the blob's location, lower-case hex. Reads fewer than `size` bytes if the file ends early.
 */
export function readSha256({ path, at, size }: StoredBlob): string {
  const descriptor = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(size);
    return sha256Of(bytes.subarray(0, readSync(descriptor, bytes, 0, size, at)));
  } finally {
    closeSync(descriptor);
  }
}

/** Inverts three bytes from `offset` of the blob. */
export function damageBlob({ path, at }: StoredBlob, offset: number): void {
  const descriptor = openSync(path, "r+");
  try {
    const bytes = Buffer.alloc(3);
    readSync(descriptor, bytes, 0, 3, at + offset);
    writeSync(descriptor, Buffer.from(bytes.map((byte) => 255 - byte)), 0, 3, at + offset);
  } finally {
    closeSync(descriptor);
  }
}

/** SHA-256 names of the blob files, including files without a row in the catalogue. */
export function ownFileNames(data: string): readonly string[] {
  const entries = readdirSync(join(data, "blobs"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

function ownPath(data: string, sha256: string): string {
  return join(data, "blobs", sha256.slice(0, 2), sha256.slice(2, 4), sha256);
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
