// The portable bucket: the interface that all callers use, over the driver of one store. It validates input, bounds
// sizes and describes bodies. It makes no decision about replacing an object: the driver does that in one atomic step.
import { createHash } from "node:crypto";
import type { Cancellation } from "../../async/cancellation.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { parseHttpDate } from "../../core/http-date.ts";
import {
  DECLARED_LIFE,
  type DeclaredLife,
  type DigestName,
  type ImageFacts,
  type Key,
  type ObjectInfo,
  type Provenance,
  STORED_HEADERS,
  toKey,
  type Validation,
} from "../../core/object.ts";
import type {
  BucketDriver,
  Entry,
  ListPage,
  ObjectReader,
  OpenOptions,
  PurgeOptions,
  PutCondition,
  PutResult,
  Renewal,
} from "./driver.ts";
import { readWhole } from "./read-whole.ts";

/**
 * One bucket, as every caller above the drivers sees it. Each method throws store_failed or store_full, and the codes
 * named.
 */
export interface Bucket {
  /** As in BucketDriver. */
  readonly isRemote: boolean;
  lookup(key: Key): Promise<Entry>;
  /** As in BucketDriver. */
  isUnknown(key: Key): boolean;
  /**
   * Undefined if the object is not there any more: look it up again. Options as in BucketDriver. The caller closes the
   * reader.
   */
  open(info: ObjectInfo, options?: OpenOptions): Promise<ObjectReader | undefined>;
  /**
   * Lower-case hex. Reads the whole object if the digest is not known yet. Undefined as `open`; throws as its reader
   * does.
   */
  digest(info: ObjectInfo, name: DigestName): Promise<string | undefined>;
  /**
   * Stores a whole body under `info.key`; durable when it resolves. A body in a file may have been renamed away by
   * then, whatever the result. Throws url_invalid (key), origin_too_large, origin_empty, internal (`info` describes
   * another body).
   */
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /**
   * Stores the same bytes under another key, with the source's facts. The copy counts as an upload, because no origin
   * has it. Undefined if the source is not there. Throws store_corrupt if the source is damaged.
   */
  copy(from: Key, to: Key, condition: PutCondition): Promise<PutResult | undefined>;
  /** As in BucketDriver. */
  findBySha1(sha1: string): Promise<ObjectInfo | undefined>;
  /**
   * Removes the object, if there is one, and leaves a tombstone. The tombstone lasts `forMs` milliseconds, or until it
   * is lifted. True if there was an object.
   */
  delete(key: Key, reason: string, forMs?: number): Promise<boolean>;
  /** Lifts a tombstone, so that the next miss may fetch from the origin again. True if there was one. */
  undelete(key: Key): Promise<boolean>;
  /** Records a successful revalidation of the stored bytes. False if the key now has another object, or none. */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /** Raises the epoch and makes a mirrored object stale (`hard`: removes it). True if there was a mirrored object. */
  purge(key: Key, options: PurgeOptions): Promise<boolean>;
  /**
   * Objects whose key begins with `prefix`, in ascending order of UTF-8 bytes, starting behind `after`. At most
   * `limit`, and at most 1,000. `signal`: see ListOptions.
   */
  list(options: {
    readonly prefix?: string;
    readonly after?: Key | undefined;
    readonly limit?: number;
    readonly signal?: Cancellation;
  }): Promise<ListPage>;
  /** Number of objects, and their total bytes; equal bytes count once for each object. */
  usage(): Promise<{ readonly objects: number; readonly bytes: number }>;
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
// The source may change between lookup and copy. A key that changes on every attempt is treated as absent.
const COPY_ATTEMPTS = 3;

export function createBucket({ driver, now, maxObjectBytes }: BucketOptions): Bucket {
  return {
    isRemote: driver.isRemote === true,
    lookup: (key) => driver.lookup(key),
    isUnknown: (key) => driver.isUnknown?.(key) === true,
    open: (info, options) => driver.open(info, options),
    digest: async (info, name) => info.hashes[name] ?? digestOf(await driver.open(info), info.size, name),
    async put(info, body, condition) {
      checkBody(info, body, maxObjectBytes);
      return driver.put(bounded(info), body, condition);
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
    findBySha1: (sha1) => driver.findBySha1(sha1),
    async delete(key, reason, forMs) {
      const deletedAt = now();
      const expiresAt = forMs === undefined ? undefined : deletedAt + forMs;
      return driver.delete(toKey(key), { deletedAt, expiresAt, reason: reason.slice(0, MAX_REASON_CHARACTERS) });
    },
    undelete: (key) => driver.undelete(key),
    renew: (key, renewal) => driver.renew(key, boundedRenewal(renewal)),
    purge: (key, options) => driver.purge(toKey(key), options),
    list: ({ prefix = "", after, limit = MAX_PAGE, signal }) =>
      driver.list({ prefix, after, limit: Math.min(Math.max(1, Math.trunc(limit)), MAX_PAGE), signal }),
    usage: () => driver.usage(),
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

async function digestOf(reader: ObjectReader | undefined, size: number, name: DigestName) {
  if (reader === undefined) return undefined;
  try {
    const hash = createHash(name);
    await readWhole(reader, size, (chunk) => hash.update(chunk));
    return hash.digest("hex");
  } finally {
    reader.close();
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
    headers: storedHeaders(info.headers),
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
  const result: { -readonly [Name in keyof DeclaredLife]: DeclaredLife[Name] } = {};
  for (const name of DECLARED_LIFE) {
    const value = within(life[name], MAX_LIFE_CHARACTERS);
    if (value !== undefined) result[name] = value;
  }
  return { at, life: result };
}

function storedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const name of STORED_HEADERS) {
    const value = within(headers[name], MAX_HEADER_CHARACTERS);
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** Drops a value that is too long. A truncated value would mean something else. */
function within(value: string | undefined, maxCharacters: number): string | undefined {
  return value !== undefined && value.length <= maxCharacters ? value : undefined;
}
