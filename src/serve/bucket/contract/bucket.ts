// The portable bucket: the interface that all callers use, over the driver of one store. It validates input, bounds
// sizes and describes bodies. It makes no decision about replacing an object: the driver does that in one atomic step.
import { createHash } from "node:crypto";
import { HuiyuanError } from "../../../core/errors.ts";
import { parseHttpDate } from "../../../core/http-date.ts";
import {
  DECLARED_LIFE,
  type DigestName,
  type ImageFacts,
  type Key,
  type ObjectInfo,
  type Provenance,
  STORED_HEADERS,
  toKey,
  type Validation,
} from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { BucketDriver, ListOptions, ListPage, ObjectReader, PutCondition, PutResult, Renewal } from "./driver.ts";

/**
 * One bucket, as every caller above the drivers sees it. Each method throws store_failed or store_full, and the codes
 * named.
 */
export interface Bucket extends Omit<BucketDriver, "copy" | "delete" | "list"> {
  /**
   * Lower-case hex. Reads the whole object if the digest is not known yet. Undefined as `open`; throws as its reader
   * does.
   */
  digest(info: ObjectInfo, name: DigestName): Promise<string | undefined>;
  /**
   * Stores the same bytes under another key, with the source's facts. The copy counts as an upload, because no origin
   * has it. Undefined if the source is not there. Throws store_corrupt if the source is damaged.
   */
  copy(from: Key, to: Key, condition: PutCondition): Promise<PutResult | undefined>;
  /**
   * Removes the object, if there is one, and leaves a tombstone. The tombstone lasts `forMs` milliseconds, or until it
   * is lifted. True if there was an object.
   */
  delete(key: Key, reason: string, forMs?: number): Promise<boolean>;
  /** At most 1,000 objects, whatever the `limit`. */
  list(options: Partial<ListOptions>): Promise<ListPage>;
}

/** The parts of a description that cannot be computed from the body. */
export interface ObjectParts {
  readonly key: Key;
  readonly body: Pick<WholeBody, "size" | "hashes">;
  readonly image: ImageFacts;
  readonly headers?: Readonly<Record<string, string>>;
  readonly provenance: Provenance;
  /** The origin's `Last-Modified` as received. An unreadable date, or one later than `now`, counts as not sent. */
  readonly lastModified?: string | undefined;
  readonly isSuspect?: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Builds the description under which a body is stored. Pure. */
export function describeObject(parts: ObjectParts): ObjectInfo {
  const sentAt = 1_000 * (parseHttpDate(parts.lastModified ?? "", parts.now) ?? 0);
  return {
    key: parts.key,
    size: parts.body.size,
    hashes: parts.body.hashes,
    image: parts.image,
    headers: parts.headers ?? {},
    provenance: parts.provenance,
    modifiedAt: sentAt > 0 && sentAt <= parts.now ? sentAt : parts.now,
    storedAt: parts.now,
    isSuspect: parts.isSuspect ?? false,
  };
}

export interface BucketOptions {
  readonly driver: BucketDriver;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly maxObjectBytes: number;
}

const MAX_HEADER_CHARACTERS = 1_024;
const MAX_LIFE_CHARACTERS = 256;
const MAX_ORIGIN_URL_CHARACTERS = 8_192;
const MAX_REASON_CHARACTERS = 256;
const MAX_PAGE = 1_000;
const READ_BYTES = 262_144;
// The source may change between lookup and copy. A key that changes on every attempt is treated as absent.
const COPY_ATTEMPTS = 3;

export function createBucket({ driver, now, maxObjectBytes }: BucketOptions): Bucket {
  return {
    isRemote: driver.isRemote,
    lookup: driver.lookup,
    open: driver.open,
    recent: driver.recent,
    findBySha1: driver.findBySha1,
    hasTwin: driver.hasTwin,
    undelete: driver.undelete,
    usage: driver.usage,
    queryKeys: driver.queryKeys,
    digest: async (info, name) => info.hashes[name] ?? digestOf(await driver.open(info), info.size, name),
    put(info, body, condition) {
      try {
        checkBody(info, body, maxObjectBytes);
        return driver.put(bounded(info), body, condition);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    async copy(from, to, condition) {
      toKey(to);
      for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt += 1) {
        const source = await driver.lookup(from);
        if (source.state !== "object") return undefined;
        if (source.info.isDamaged === true) {
          throw new HuiyuanError("store_corrupt", `Cannot copy "${from}": its bytes are damaged`);
        }
        const result = await driver.copy(from, copyOf(source.info, to, now()), condition);
        if (result !== undefined) return result;
      }
      return undefined;
    },
    async delete(key, reason, forMs) {
      const deletedAt = now();
      const expiresAt = forMs === undefined ? undefined : deletedAt + forMs;
      return driver.delete(toKey(key), { deletedAt, expiresAt, reason: reason.slice(0, MAX_REASON_CHARACTERS) });
    },
    renew: (key, renewal) => driver.renew(key, boundedRenewal(renewal)),
    purge: (key, options) => driver.purge(toKey(key), options),
    list: ({ prefix = "", after, limit = MAX_PAGE, signal }) =>
      driver.list({ prefix, after, limit: Math.min(Math.max(1, Math.trunc(limit)), MAX_PAGE), signal }),
  };
}

function copyOf(source: ObjectInfo, key: Key, now: number): ObjectInfo {
  return { ...source, key, provenance: uploadedAt(now), modifiedAt: now, storedAt: now };
}

/** The provenance of an object that a client uploaded. `now`: Unix milliseconds. */
export function uploadedAt(now: number): Provenance {
  return {
    via: "upload",
    originUrl: undefined,
    originEtag: undefined,
    originLastModified: undefined,
    fetchedAt: now,
    validated: undefined,
  };
}

/** Reads the whole object, and closes the reader. Undefined: there is no object. Throws as the reader does. */
export async function digestOf(reader: ObjectReader | undefined, size: number, name: DigestName | "sha256") {
  if (reader === undefined) return undefined;
  try {
    const hash = createHash(name);
    await readWhole(reader, size, (chunk) => hash.update(chunk));
    return hash.digest("hex");
  } finally {
    reader.close();
  }
}

/**
 * Reads an object from its first byte to its last, so that every block is checked. Passes each chunk to `take`, in
 * order. Throws as the reader does. Does not close the reader.
 */
export async function readWhole(
  reader: ObjectReader,
  size: number,
  take: (chunk: Buffer) => void = () => {},
): Promise<void> {
  for (let start = 0; start < size; start += READ_BYTES) {
    take(await reader.read(start, Math.min(start + READ_BYTES, size) - 1));
  }
}

function checkBody(info: ObjectInfo, body: WholeBody, maxObjectBytes: number): void {
  const key = toKey(info.key);
  if (body.size > maxObjectBytes) {
    throw new HuiyuanError(
      "origin_too_large",
      `Cannot store "${key}": ${body.size} bytes, the limit is ${maxObjectBytes}`,
    );
  }
  if (body.size < 1) throw new HuiyuanError("origin_empty", `Cannot store "${key}": no bytes, at least one is needed`);
  const isSameBody = info.size === body.size && info.hashes.sha256 === body.hashes.sha256;
  if (!isSameBody) throw new HuiyuanError("internal", `Cannot store "${key}": the description belongs to another body`);
}

/** Drops headers that are not stored, and values that are too long. Most descriptions stay as they are. */
function bounded(info: ObjectInfo): ObjectInfo {
  const { provenance } = info;
  return {
    ...info,
    headers: fieldsWithin(info.headers, STORED_HEADERS, MAX_HEADER_CHARACTERS),
    provenance: {
      ...provenance,
      originUrl: within(provenance.originUrl, MAX_ORIGIN_URL_CHARACTERS),
      originEtag: within(provenance.originEtag, MAX_HEADER_CHARACTERS),
      originLastModified: within(provenance.originLastModified, MAX_HEADER_CHARACTERS),
      validated: provenance.validated === undefined ? undefined : boundedValidation(provenance.validated),
    },
  };
}

function boundedRenewal(renewal: Renewal): Renewal {
  return {
    ...renewal,
    originEtag: within(renewal.originEtag, MAX_HEADER_CHARACTERS),
    originLastModified: within(renewal.originLastModified, MAX_HEADER_CHARACTERS),
    validated: boundedValidation(renewal.validated),
  };
}

/** The bound per header keeps all of them together below the metadata limit of an S3 store. */
function boundedValidation({ at, life }: Validation): Validation {
  return { at, life: fieldsWithin(life, DECLARED_LIFE, MAX_LIFE_CHARACTERS) };
}

/** The named fields, without those that are missing or too long. */
function fieldsWithin<Name extends string>(
  values: { readonly [Field in Name]?: string | undefined },
  names: readonly Name[],
  maxCharacters: number,
): { [Field in Name]?: string } {
  const result: { [Field in Name]?: string } = {};
  for (const name of names) {
    const value = within(values[name], maxCharacters);
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** Drops a value that is too long. A truncated value would mean something else. */
function within(value: string | undefined, maxCharacters: number): string | undefined {
  return value !== undefined && value.length <= maxCharacters ? value : undefined;
}
