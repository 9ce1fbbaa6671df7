// What is recorded of an image that an origin sent. Pure.
import type { WholeBody } from "../body/spool.ts";
import type { Key, ObjectInfo } from "../object.ts";
import type { FillHead } from "./fill.ts";

/** `now`: Unix milliseconds. A Last-Modified that cannot be read, or lies ahead, counts as not sent. */
export function objectFromOrigin(parts: {
  readonly key: Key;
  readonly head: FillHead;
  readonly body: WholeBody;
  readonly now: number;
  readonly isSuspect: boolean;
}): ObjectInfo {
  const { answer, image } = parts.head;
  const lastModified = answer.lastModified === undefined ? Number.NaN : Date.parse(answer.lastModified);
  return {
    key: parts.key,
    size: parts.body.size,
    hashes: parts.body.hashes,
    image,
    headers: answer.headers,
    provenance: {
      via: "mirror",
      originUrl: answer.url,
      originEtag: answer.etag,
      originLastModified: answer.lastModified,
      fetchedAt: parts.now,
    },
    modifiedAt: lastModified > 0 && lastModified <= parts.now ? lastModified : parts.now,
    storedAt: parts.now,
    isSuspect: parts.isSuspect,
  };
}
