// The portable bucket: what every caller uses and every driver may rely on. It validates, bounds and describes; what is
// there and what may replace it is decided by the driver, in one step.
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

/** One bucket, for everyone above the drivers. Throws store_failed, store_full and what else is named. */
export interface Bucket {
  lookup(key: Key): Promise<Entry>;
  /** As in BucketDriver. */
  isUnknown(key: Key): boolean;
  /** Undefined when the object is not there (any more): look it up again. Options as in BucketDriver. The caller closes the reader. */
  open(info: ObjectInfo, options?: OpenOptions): Promise<ObjectReader | undefined>;
  /** As in BucketDriver. */
  readonly prefetch: ((info: ObjectInfo) => Promise<ObjectReader | undefined>) | undefined;
  /** In lower-case hex; reads the whole object where the digest is not known yet. Undefined as `open`; throws as its reader. */
  digest(info: ObjectInfo, name: DigestName): Promise<string | undefined>;
  /**
   * Stores a whole body under `info.key`; durable when it resolves. A body in a file may have been renamed away then,
   * whatever the result. Throws url_invalid (key), origin_too_large, origin_empty, internal (info is not the body's).
   */
  put(info: ObjectInfo, body: WholeBody, condition: PutCondition): Promise<PutResult>;
  /**
   * The same bytes under another key, with the source's facts. It counts as an upload: no origin has it. Undefined when the
   * source is not there. Throws store_corrupt for one that is damaged.
   */
  copy(from: Key, to: Key, condition: PutCondition): Promise<PutResult | undefined>;
  /** As in BucketDriver. */
  findBySha1(sha1: string): Promise<ObjectInfo | undefined>;
  /**
   * Removes the object if there is one and leaves a tombstone, for `forMs` milliseconds or until it is lifted. True when
   * an object was there.
   */
  delete(key: Key, reason: string, forMs?: number): Promise<boolean>;
  /** Lifts a tombstone, so that the next miss may ask the origin again. True when there was one. */
  undelete(key: Key): Promise<boolean>;
  /** Notes that the origin still has the stored bytes. False when the key has another object by now, or none. */
  renew(key: Key, renewal: Renewal): Promise<boolean>;
  /** Raises the epoch and marks what the mirror brought as stale (`hard`: removes it). True when there was such an object. */
  purge(key: Key, options: PurgeOptions): Promise<boolean>;
  /** Objects whose key begins with `prefix`, by ascending UTF-8 bytes, after `after`; at most `limit`, at most 1000. `signal`: see ListOptions. */
  list(options: {
    readonly prefix?: string;
    readonly after?: Key | undefined;
    readonly limit?: number;
    readonly signal?: Cancellation;
  }): Promise<ListPage>;
  /** Objects, and their bytes before equal ones are stored once. */
  usage(): Promise<{ readonly objects: number; readonly bytes: number }>;
}

/** The parts of a description that the body does not tell. */
export interface ObjectParts {
  readonly key: Key;
  readonly body: Pick<WholeBody, "size" | "hashes">;
  readonly image: ImageFacts;
  readonly headers?: Readonly<Record<string, string>>;
  readonly provenance: Provenance;
  /** The origin's `Last-Modified` as received; what cannot be read, or lies ahead of `now`, counts as not sent. */
  readonly lastModified?: string | undefined;
  readonly isSuspect?: boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

/** The description under which a body is stored. Pure. */
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
// The source may change between look-up and copy; a key that changes faster than this is treated as absent.
const COPY_ATTEMPTS = 3;

export function createBucket({ driver, now, maxObjectBytes }: BucketOptions): Bucket {
  return {
    lookup: (key) => driver.lookup(key),
    isUnknown: (key) => driver.isUnknown?.(key) === true,
    open: (info, options) => driver.open(info, options),
    prefetch: driver.prefetch && ((info) => driver.prefetch?.(info) ?? Promise.resolve(undefined)),
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

/** The provenance of what came from a client. `now`: Unix milliseconds. */
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
    await readWhole(reader, size, (piece) => hash.update(piece));
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
  const isBodys = info.size === body.size && info.hashes.sha256 === body.hashes.sha256;
  if (!isBodys) throw new HuiyuanError("internal", `Cannot store "${key}": the description belongs to another body`);
}

/** The description without what an origin has no business to make us keep. Most have nothing to take away. */
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

/** Together the headers are shorter than an S3 store takes as metadata. */
function boundedValidation({ at, life }: Validation): Validation {
  const kept: { -readonly [Name in keyof DeclaredLife]: DeclaredLife[Name] } = {};
  for (const name of DECLARED_LIFE) {
    const value = within(life[name], MAX_LIFE_CHARACTERS);
    if (value !== undefined) kept[name] = value;
  }
  return { at, life: kept };
}

function storedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const name of STORED_HEADERS) {
    const value = within(headers[name], MAX_HEADER_CHARACTERS);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** A value cut short would mean something else, so a long one is not kept at all. */
function within(value: string | undefined, maxCharacters: number): string | undefined {
  return value !== undefined && value.length <= maxCharacters ? value : undefined;
}
