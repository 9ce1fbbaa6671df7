// Maps keys to names in the remote store, and orders them as listings do. A name is prefix + appid/bucket/ + key, so
// that any tool of the store finds the object. Pure.
import { isKey, type Key } from "../../core/object.ts";

/** The longest name that S3 and most other stores accept, in UTF-8 bytes. */
const MAX_NAME_BYTES = 1_024;
/** Earlier versions stored objects with long names here, under hashes. Its names are not used again. */
const RESERVED_FOLDER = ".huiyuan-long/";

export interface ObjectNames {
  /** `<prefix><appid>/<bucket>/` */
  readonly folder: string;
  /** Below `folder`; no key has a name in it. */
  readonly reservedFolder: string;
  of(key: Key): string;
  /** `long`: the store accepts no name of this length. `reserved`: the name lies in the reserved folder. */
  fault(key: Key): "long" | "reserved" | undefined;
  /** The key of a name in `folder`; undefined for a name in the reserved folder or one that is no valid key. */
  keyOf(name: string): Key | undefined;
}

/** `bucketId`: `<appid>/<bucket>`. */
export function objectNames(prefix: string, bucketId: string): ObjectNames {
  const folder = `${prefix}${bucketId}/`;
  const reservedFolder = folder + RESERVED_FOLDER;
  const maxKeyBytes = MAX_NAME_BYTES - Buffer.byteLength(folder);
  return {
    folder,
    reservedFolder,
    of: (key) => folder + key,
    fault(key) {
      if (key.startsWith(RESERVED_FOLDER)) return "reserved";
      return Buffer.byteLength(key) > maxKeyBytes ? "long" : undefined;
    },
    keyOf(name) {
      if (!name.startsWith(folder) || name.startsWith(reservedFolder)) return undefined;
      const key = name.slice(folder.length);
      return isKey(key) ? key : undefined;
    },
  };
}

/** Compares by UTF-8 bytes, as S3 sorts names. */
export function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}
