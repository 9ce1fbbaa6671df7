// Under which name an object lies in the S3 bucket: prefix + appid/bucket/ + key, so that any S3 tool finds it. Keys that
// would be too long for S3 that way lie under a hash, with the key in their metadata. Pure.
import { createHash } from "node:crypto";
import { isKey, type Key } from "../../core/object.ts";
import type { RemoteName } from "./remote.ts";

/** The longest name that S3 takes, UTF-8 bytes. */
const MAX_NAME_BYTES = 1_024;
const LONG_FOLDER = ".huiyuan-long/";

export interface ObjectNames {
  /** `<prefix><appid>/<bucket>/` */
  readonly folder: string;
  /** Below `folder`: where objects lie whose name would be too long. */
  readonly longFolder: string;
  of(key: Key): string;
  /** True for a key whose name does not hold it. */
  isLong(key: Key): boolean;
  /** The key of a name in `folder`; undefined for one in `longFolder`, and for what cannot be a key. */
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

/** Both lists in one order. What lies behind the last found must wait until everything before it is known. */
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
