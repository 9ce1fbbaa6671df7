// The types of a stored object: its key, its facts, a byte range of it. No I/O, no policy.
import { HuiyuanError } from "./errors.ts";

/** The name of an object inside a bucket (fileid): 1–1024 UTF-8 bytes, no NUL, no `.` or `..` segment. */
export type Key = string & { readonly __brand: "Key" };

const MAX_KEY_BYTES = 1024;

/** Returns a checked key. Throws url_invalid: empty, over 1024 bytes, NUL, a lone surrogate, or a `.`/`..` segment. */
export function toKey(text: string): Key {
  const fault = keyFault(text);
  if (fault !== undefined)
    throw new HuiyuanError("url_invalid", `Cannot use ${JSON.stringify(text.slice(0, 80))} as a key: ${fault}`);
  return text as Key; // checked on the line above
}

/** Whether `toKey` would accept the text. */
export function isKey(text: string): text is Key {
  return keyFault(text) === undefined;
}

const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/;

function keyFault(text: string): string | undefined {
  if (text.length === 0) return "it is empty";
  if (Buffer.byteLength(text) > MAX_KEY_BYTES) return `it has more than ${MAX_KEY_BYTES} bytes`;
  if (text.includes("\0")) return "it contains NUL";
  if (!text.isWellFormed()) return "it is not well-formed Unicode";
  return DOT_SEGMENT.test(text) ? "it has a '.' or '..' segment" : undefined;
}

/** A part of an object. Both ends inclusive, zero-based (RFC 9110 §14.1.2). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The name of a format in settings, log, metrics and catalogue. */
export type ImageFormat = "jpeg" | "png" | "gif" | "webp" | "avif" | "bmp" | "heic" | "tiff" | "ico" | "svg";

/** The kind of bytes in an object. `json`: facts about an image; only the tier of variants has such objects. */
export type ObjectFormat = ImageFormat | "json";

/** The media type of a response. The origin's own Content-Type is never trusted. */
export const MEDIA_TYPES: Readonly<Record<ObjectFormat, string>> = {
  jpeg: "image/jpeg",
  png: "image/png",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  heic: "image/heic",
  tiff: "image/tiff",
  ico: "image/x-icon",
  svg: "image/svg+xml",
  json: "application/json",
};

/** Facts from the first bytes. Width and height in pixels; undefined if the head does not contain them. */
export interface ImageFacts {
  readonly format: ObjectFormat;
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/**
 * Lower-case hex of the whole body. SHA-256 identifies the bytes. The other two are undefined unless they were computed
 * during the fetch or declared; `Bucket.digest` computes them later.
 */
export interface Hashes {
  readonly sha256: string;
  readonly sha1: string | undefined;
  readonly md5: string | undefined;
}

/** A digest that is optional, because MD5 of a body costs twice as much as SHA-256. */
export type DigestName = "sha1" | "md5";

/**
 * The source of an object. The validators are the origin's own; they serve revalidation only and are never sent to a
 * client.
 */
export interface Provenance {
  readonly via: "upload" | "mirror" | "migration";
  /**
   * The URL that the bytes were fetched from, without credentials; MADE_HERE for a variant, undefined for an upload.
   */
  readonly originUrl: string | undefined;
  readonly originEtag: string | undefined;
  readonly originLastModified: string | undefined;
  /** Unix milliseconds. */
  readonly fetchedAt: number;
  /**
   * Undefined for objects that no mirror fetched, and for objects stored before this field existed: only `fetchedAt` is
   * known.
   */
  readonly validated: Validation | undefined;
}

/** The `originUrl` of a variant, which was rendered from an image of the bucket. */
export const MADE_HERE = "huiyuan:rendered";

/**
 * When an origin last confirmed these bytes, and the freshness headers of that response, for serve/mirror/freshness/.
 */
export interface Validation {
  /** Unix milliseconds: when the request was sent that the 200 or the 304 answered. */
  readonly at: number;
  readonly life: DeclaredLife;
}

/** The fields of DeclaredLife; the headers are Cache-Control, Expires, Date and Age. */
export const DECLARED_LIFE = ["cacheControl", "expires", "date", "age"] as const;

/** The origin's own headers of that response, as received. Absent headers are absent here. Never sent to a client. */
export type DeclaredLife = { readonly [Name in (typeof DECLARED_LIFE)[number]]?: string };

/**
 * Headers that are stored with an object and sent with it, lower-case names. No other header of an origin is stored.
 */
export const STORED_HEADERS = ["content-disposition", "content-language"] as const;

/** An object in a bucket. */
export interface ObjectInfo {
  readonly key: Key;
  /** Bytes, exact. */
  readonly size: number;
  readonly hashes: Hashes;
  readonly image: ImageFacts;
  /** Only names of STORED_HEADERS. */
  readonly headers: Readonly<Record<string, string>>;
  readonly provenance: Provenance;
  /** Unix milliseconds; the origin's Last-Modified if it sent a valid one, else the time of storing. */
  readonly modifiedAt: number;
  /** Unix milliseconds. */
  readonly storedAt: number;
  /** True if `suspects: keep` stored it although its structure is not whole. */
  readonly isSuspect: boolean;
  /**
   * True if its stored bytes were damaged and no other copy exists; opening it throws store_corrupt. The key stays
   * taken until equal bytes are stored again, or a delete removes it.
   */
  readonly isDamaged?: boolean;
}

/** When these bytes were requested, or last confirmed by a revalidation. Unix milliseconds. */
export function validatedAt({ provenance: { validated, fetchedAt } }: Pick<ObjectInfo, "provenance">): number {
  return validated?.at ?? fetchedAt;
}

/** The strong entity tag of an object: the first 32 hex digits of its SHA-256, quoted. */
export function etagOf(hashes: Pick<Hashes, "sha256">): string {
  return `"${hashes.sha256.slice(0, 32)}"`;
}

/** Compares by UTF-8 bytes, as S3 sorts names. */
export function compareUtf8(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
