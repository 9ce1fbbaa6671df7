// Turns an origin's answer into the ObjectInfo under which its body is stored. The only place that does so; it stores
// nothing.
import { describeObject } from "../../bucket/contract/bucket.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import type { BodyFacts, FillHead } from "./fill-end.ts";

/** `now`: Unix milliseconds. */
export function describeFetched(parts: {
  readonly key: Key;
  readonly head: FillHead;
  readonly body: BodyFacts;
  readonly now: number;
  readonly isSuspect?: boolean;
}): ObjectInfo {
  const { key, body, now, isSuspect = false } = parts;
  const { answer, requestedAt, image } = parts.head;
  const { url: originUrl, etag: originEtag, lastModified, life, headers } = answer;
  const provenance = {
    via: "mirror",
    originUrl,
    originEtag,
    originLastModified: lastModified,
    fetchedAt: now,
    validated: { at: requestedAt, life },
  } as const;
  return describeObject({ key, body, image, headers, provenance, lastModified, isSuspect, now });
}
