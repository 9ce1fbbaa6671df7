// The words for an object: its key, its facts, a part of it. No I/O, no policy.
import { HuiyuanError } from "./errors.ts";

/** The name of an object inside a bucket (fileid): 1–1024 UTF-8 bytes, no NUL, no `.` or `..` segment. */
export type Key = string & { readonly __brand: "Key" };

const MAX_KEY_BYTES = 1024;

/** A checked key. Throws url_invalid: empty, over 1024 bytes, NUL, a lone surrogate, or a `.`/`..` segment. */
export function toKey(text: string): Key {
  const fault = keyFault(text);
  if (fault !== undefined)
    throw new HuiyuanError("url_invalid", `Cannot use ${JSON.stringify(text.slice(0, 80))} as a key: ${fault}`);
  return text as Key; // checked on the line above
}

/** Whether `toKey` would take the text. */
export function isKey(text: string): text is Key {
  return keyFault(text) === undefined;
}

function keyFault(text: string): string | undefined {
  if (text.length === 0) return "it is empty";
  if (Buffer.byteLength(text) > MAX_KEY_BYTES) return `it has more than ${MAX_KEY_BYTES} bytes`;
  if (text.includes("\0")) return "it contains NUL";
  if (!text.isWellFormed()) return "it is not well-formed Unicode";
  // Most keys have no dot segment, and this test is on the hot path.
  if (text.includes(".") && text.split("/").some((segment) => segment === "." || segment === "..")) {
    return "it has a '.' or '..' segment";
  }
  return undefined;
}

/** A part of an object. Both ends inclusive, zero-based (RFC 9110 §14.1.2). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** How a format is called everywhere: settings, log, metrics, catalogue. */
export type ImageFormat = "jpeg" | "png" | "gif" | "webp" | "avif" | "bmp" | "heic" | "tiff" | "ico";

/** What the bytes of an object are. `json`: facts about an image; only a tier of variants has such objects. */
export type ObjectFormat = ImageFormat | "json";

/** The media type that an answer carries; the origin's own Content-Type is never trusted. */
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
  json: "application/json",
};

/** What the first bytes tell. Width and height in pixels; undefined where the head does not hold them. */
export interface ImageFacts {
  readonly format: ObjectFormat;
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/**
 * Lower-case hex of the whole body. SHA-256 names the bytes. The other two are known where somebody asked for them while
 * the body came, or gave them; `Bucket.digest` finds them out.
 */
export interface Hashes {
  readonly sha256: string;
  readonly sha1: string | undefined;
  readonly md5: string | undefined;
}

/** A digest that not everybody needs: MD5 of a body costs twice what SHA-256 does. */
export type DigestName = "sha1" | "md5";

/** How an object came. The validators are the origin's own and serve revalidation only, never a client. */
export interface Provenance {
  readonly via: "upload" | "mirror" | "migration";
  /** Where the bytes were fetched, without credentials; MADE_HERE for a variant, undefined for an upload. */
  readonly originUrl: string | undefined;
  readonly originEtag: string | undefined;
  readonly originLastModified: string | undefined;
  /** Unix milliseconds. */
  readonly fetchedAt: number;
  /** Undefined for what no mirror brought, and for what was stored before this was kept: `fetchedAt` alone is known. */
  readonly validated: Validation | undefined;
}

/** The URL of what was made of an image of the bucket. */
export const MADE_HERE = "huiyuan:rendered";

/** When an origin last said that these bytes are its own, and what it said of their life. mirror/freshness.ts reads it. */
export interface Validation {
  /** Unix milliseconds: when the 200 or the 304 came. */
  readonly at: number;
  readonly life: DeclaredLife;
}

/** The names of DeclaredLife; the headers are Cache-Control, Expires, Date and Age. */
export const DECLARED_LIFE = ["cacheControl", "expires", "date", "age"] as const;

/** The origin's own headers of that answer, as received; only those that it sent. Never sent to a client. */
export type DeclaredLife = { readonly [Name in (typeof DECLARED_LIFE)[number]]?: string };

/** Headers that are stored with an object and sent with it, lower-case names. Nothing else of an origin's head is kept. */
export const STORED_HEADERS = ["content-disposition", "content-language"] as const;

/** An object as it is in a bucket. */
export interface ObjectInfo {
  readonly key: Key;
  /** Bytes, exact. */
  readonly size: number;
  readonly hashes: Hashes;
  readonly image: ImageFacts;
  /** Only names of STORED_HEADERS. */
  readonly headers: Readonly<Record<string, string>>;
  readonly provenance: Provenance;
  /** Unix milliseconds; the origin's Last-Modified where it sent a valid one, else the time of storing. */
  readonly modifiedAt: number;
  /** Unix milliseconds. */
  readonly storedAt: number;
  /** True for what `suspects: keep` let in although its structure is not whole. */
  readonly isSuspect: boolean;
  /**
   * True: its bytes were read wrongly and nobody else has them; whoever opens it gets store_corrupt. Until equal bytes come
   * again it keeps its place, and nothing but a delete takes that away.
   */
  readonly isDamaged?: boolean;
}

/** The strong entity tag of an object: the first 32 hex digits of its SHA-256, quoted. */
export function etagOf(hashes: Pick<Hashes, "sha256">): string {
  return `"${hashes.sha256.slice(0, 32)}"`;
}
