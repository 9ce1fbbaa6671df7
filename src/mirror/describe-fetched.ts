// What is recorded of an image that an origin sent: the body's facts, and where it came from. Pure.
import type { WholeBody } from "../body/spool.ts";
import { describeObject } from "../bucket/bucket.ts";
import type { Key, ObjectInfo } from "../object.ts";
import type { FillHead } from "./fill.ts";

/** The description under which a fetched body is stored. `now`: Unix milliseconds. */
export function describeFetched(parts: {
  readonly key: Key;
  readonly head: FillHead;
  readonly body: WholeBody;
  readonly now: number;
  readonly isSuspect?: boolean;
}): ObjectInfo {
  const { key, body, now, isSuspect = false } = parts;
  const { answer, image } = parts.head;
  const { url: originUrl, etag: originEtag, lastModified, life, headers } = answer;
  const provenance = {
    via: "mirror",
    originUrl,
    originEtag,
    originLastModified: lastModified,
    fetchedAt: now,
    validated: { at: now, life },
  } as const;
  return describeObject({ key, body, image, headers, provenance, lastModified, isSuspect, now });
}
