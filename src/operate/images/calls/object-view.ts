// Formats objects as the contracts describe them.

import { etagOf, MEDIA_TYPES, type ObjectInfo } from "../../../core/object.ts";
import type { Stored } from "../../admin/naming.ts";

type Entry = Awaited<ReturnType<Stored["lookup"]>>;

/** One object of a listing. */
export function objectView(info: ObjectInfo): object {
  const { key, size, hashes, image, headers, provenance, modifiedAt, storedAt, isSuspect, isDamaged = false } = info;
  const { via, originUrl, originEtag, originLastModified, fetchedAt, validated } = provenance;
  return {
    key,
    size,
    mediaType: MEDIA_TYPES[image.format],
    format: image.format,
    width: image.width,
    height: image.height,
    etag: etagOf(hashes),
    ...hashes,
    headers,
    modifiedAt: time(modifiedAt),
    storedAt: time(storedAt),
    isSuspect,
    isDamaged,
    provenance: {
      via,
      originUrl,
      originEtag,
      originLastModified,
      fetchedAt: time(fetchedAt),
      validatedAt: time(validated?.at),
    },
  };
}

/** The state of a key in a bucket. `failure`: the error code of a store that did not answer. */
export function entryView(entry: Entry): object {
  const { state, epoch } = entry;
  if (state === "object") {
    const { info, isStale, certainty } = entry;
    return { state, epoch, isStale, isQueued: certainty !== undefined, object: objectView(info) };
  }
  if (state === "tombstone") return { state, epoch, tombstone: tombstoneView(entry) };
  return { state, epoch, failure: entry.failure?.code };
}

function tombstoneView({ deletedAt, reason, expiresAt }: Extract<Entry, { readonly state: "tombstone" }>): object {
  return { deletedAt: time(deletedAt), reason, expiresAt: time(expiresAt) };
}

function time(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined;
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
