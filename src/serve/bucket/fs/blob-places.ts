// The one rule for the names of blobs and packs, and the paths of their files. A column of a catalogue may have
// anything, so a path is made only of what is a name.
import { HuiyuanError } from "../../../core/errors.ts";

const BLOB_NAME = /^[0-9a-f]{64}$/;

/** Whether the value is a SHA-256 in lower-case hex. */
export const isBlobName = (value: unknown): value is string => typeof value === "string" && BLOB_NAME.test(value);

/** Path of a blob's file. Throws store_corrupt if `sha256` is no name of a blob, which could lead anywhere. */
export function blobPath(dataDir: string, sha256: string): string {
  return `${dataDir}/blobs/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${blobName(sha256)}`;
}

/** Throws as blobPath(). */
export function blobName(sha256: string): string {
  if (isBlobName(sha256)) return sha256;
  const found = JSON.stringify(String(sha256).slice(0, 80));
  throw new HuiyuanError("store_corrupt", `Cannot name a blob's file: found ${found}, wanted 64 hex digits`);
}

/** Path of a pack. Throws store_corrupt if `pack` is no whole number: a column of a catalogue may have anything. */
export function packPath(dataDir: string, pack: number): string {
  if (Number.isSafeInteger(pack)) return `${dataDir}/packs/${pack}`;
  const found = `found ${JSON.stringify(pack)}, wanted a number`;
  throw new HuiyuanError("store_corrupt", `Cannot name a pack's file: ${found}`);
}
