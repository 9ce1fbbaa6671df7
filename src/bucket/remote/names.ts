// Maps keys to names in the S3 bucket, and orders them as listings do. A name is prefix + appid/bucket/ + key, so that
// any S3 tool finds the object. A key that is too long for S3 gets a hash as its name; its metadata holds the key.
// Pure.
import { createHash } from "node:crypto";
import { isKey, type Key } from "../../core/object.ts";
import type { RemoteName } from "./remote.ts";

/** The longest name that S3 accepts, in UTF-8 bytes. */
const MAX_NAME_BYTES = 1_024;
const LONG_FOLDER = ".huiyuan-long/";

export interface ObjectNames {
  /** `<prefix><appid>/<bucket>/` */
  readonly folder: string;
  /** Below `folder`, for objects whose name would be too long. */
  readonly longFolder: string;
  of(key: Key): string;
  /** Whether the key's name is a hash. */
  isLong(key: Key): boolean;
  /** The key of a name in `folder`; undefined for a name in `longFolder` or one that is no valid key. */
  keyOf(name: string): Key | undefined;
}

/** `bucketId`: `<appid>/<bucket>`. */
export function objectNames(prefix: string, bucketId: string): ObjectNames {
  const folder = `${prefix}${bucketId}/`;
  const longFolder = folder + LONG_FOLDER;
  const isLong = (key: Key) => key.startsWith(LONG_FOLDER) || Buffer.byteLength(folder + key) > MAX_NAME_BYTES;
  return {
    folder,
    longFolder,
    isLong,
    of: (key) => (isLong(key) ? longFolder + createHash("sha256").update(key).digest("hex") : folder + key),
    keyOf(name) {
      if (!name.startsWith(folder) || name.startsWith(longFolder)) return undefined;
      const key = name.slice(folder.length);
      return isKey(key) ? key : undefined;
    },
  };
}

/**
 * Merges both lists by UTF-8 bytes, as S3 sorts names. Long keys behind the last entry of `found` wait for a later page
 * unless `isEnd`, because more found keys may sort before them.
 */
export function merge(
  found: readonly RemoteName[],
  long: readonly RemoteName[],
  { limit, isEnd }: { readonly limit: number; readonly isEnd: boolean },
): { names: readonly RemoteName[]; isEnd: boolean } {
  const last = found.at(-1)?.key;
  const fitting = isEnd || last === undefined ? long : long.filter(({ key }) => !isAfter(key, last));
  const all = [...found, ...fitting].sort((a, b) => (isAfter(a.key, b.key) ? 1 : -1));
  return { names: all.slice(0, limit), isEnd: isEnd && all.length <= limit };
}

export function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}
