// Lists one bucket of a remote store. Tombstones are left out; objects of other tools are included.

import { HuiyuanError } from "../../../core/errors.ts";
import { compareUtf8, isKey, type Key } from "../../../core/object.ts";
import { mayBeObject } from "./metadata.ts";
import type { RemoteBucket, RemoteName } from "./remote.ts";
import type { NamePage, RemoteRequests } from "./requests.ts";

const PAGE = 1_000;

/** As RemoteBucket.list. */
export function createRemoteListing(requests: Pick<RemoteRequests, "list">, names: ObjectNames): RemoteBucket["list"] {
  async function pageOf(options: Parameters<RemoteRequests["list"]>[0]): Promise<NamePage> {
    const page = await requests.list(options);
    const [first] = page.names;
    // Such a store would send the first page for ever, as a server that only supports version 1 of S3's listings.
    if (options.after !== undefined && first !== undefined && compareUtf8(first.name, options.after) <= 0)
      throw new HuiyuanError(
        "store_failed",
        `Cannot list "${options.prefix}": the store ignores where the page begins`,
      );
    return page;
  }

  return async ({ prefix, after, limit, signal }) => {
    const found: RemoteName[] = [];
    let from = after === undefined ? undefined : names.folder + after;
    let isEnd = false;
    let size = Math.min(PAGE, limit + 1);
    while (found.length <= limit && !isEnd) {
      if (signal?.aborted) throw new HuiyuanError("client_gone", "Cannot list the bucket: the request was cancelled");
      const page = await pageOf({ prefix: names.folder + prefix, after: from, limit: size });
      // Any number of the names may be tombstones, so the next page is a full one.
      size = PAGE;
      for (const { name, size, md5 } of page.names) {
        const key = names.keyOf(name);
        if (key !== undefined && mayBeObject(size)) found.push({ key, size, md5 });
      }
      from = page.names.at(-1)?.name;
      isEnd = page.isEnd || from === undefined;
    }
    return { names: found.slice(0, limit), isEnd: isEnd && found.length <= limit };
  };
}

/** The longest name that S3 and most other stores accept, in UTF-8 bytes. */
const MAX_NAME_BYTES = 1_024;

export interface ObjectNames {
  /** `<prefix><appid>/<bucket>/` */
  readonly folder: string;
  of(key: Key): string;
  isTooLong(key: Key): boolean;
  /** The key of a name in `folder`; undefined for a name that is no valid key. */
  keyOf(name: string): Key | undefined;
}

/** `bucketId`: `<appid>/<bucket>`. */
export function objectNames(prefix: string, bucketId: string): ObjectNames {
  const folder = `${prefix}${bucketId}/`;
  const maxKeyBytes = MAX_NAME_BYTES - Buffer.byteLength(folder);
  return {
    folder,
    of: (key) => folder + key,
    isTooLong: (key) => Buffer.byteLength(key) > maxKeyBytes,
    keyOf(name) {
      if (!name.startsWith(folder)) return undefined;
      const key = name.slice(folder.length);
      return isKey(key) ? key : undefined;
    },
  };
}
