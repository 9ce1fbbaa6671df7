// Writes an object's description as x-amz-meta-* headers and reads it back: at most 2 KB, the limit of S3, in ASCII.
// Operators see these names and values in any S3 tool. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import {
  DECLARED_LIFE,
  type DeclaredLife,
  type ImageFormat,
  type Key,
  MEDIA_TYPES,
  type ObjectInfo,
  type Provenance,
  STORED_HEADERS,
} from "../../core/object.ts";
import type { Tombstone } from "../contract/driver.ts";
import type { RemoteEntry } from "./remote.ts";

/** The limit of S3 less a margin for proxies. Bytes of all names (without x-amz-meta-) and values together. */
const MAX_BYTES = 2_000;
const PREFIX = "x-amz-meta-";
/** Present on every object that this program wrote. Its value is the version of the names below. */
const MARKER = "huiyuan";
const MARKER_VERSION = "1";

type Fields = [name: string, value: string | number | undefined][];

/** Headers of an object. */
export function describe(info: ObjectInfo, options: { readonly isStale: boolean }) {
  const { hashes, image, provenance } = info;
  const needed: Fields = [
    [MARKER, MARKER_VERSION],
    ["sha256", hashes.sha256],
    ["sha1", hashes.sha1],
    ["md5", hashes.md5],
    ["size", info.size],
    ["format", image.format],
    ["width", image.width],
    ["height", image.height],
    ["via", provenance.via],
    ["fetched-at", provenance.fetchedAt],
    ["modified-at", info.modifiedAt],
    ["stored-at", info.storedAt],
    ["suspect", info.isSuspect ? 1 : undefined],
    ["stale", options.isStale ? 1 : undefined],
  ];
  // The most important first: a value that no longer fits is left out completely.
  const optional: Fields = [
    ["validated-at", provenance.validated?.at],
    ["life", lifeText(provenance.validated?.life)],
    ["origin-etag", provenance.originEtag],
    ["origin-last-modified", provenance.originLastModified],
    ...STORED_HEADERS.map((name): Fields[number] => [name, info.headers[name]]),
    ["origin-url", provenance.originUrl],
  ];
  return { "content-type": MEDIA_TYPES[image.format], ...pack(needed, optional) };
}

/** Headers of the small object that marks a deleted key. */
export function describeTombstone(tombstone: Tombstone) {
  const needed: Fields = [
    [MARKER, MARKER_VERSION],
    ["deleted-at", tombstone.deletedAt],
    ["expires-at", tombstone.expiresAt],
  ];
  return { "content-type": "text/plain", ...pack(needed, [["reason", tombstone.reason]]) };
}

/** Head of a HEAD response. `size` is undefined if S3 did not send it. */
export interface ObjectHead {
  header(name: string): string | undefined;
  readonly size: number | undefined;
  readonly version: string;
}

/** The MD5 of an empty body, which S3 sends as the ETag of an empty object. */
const EMPTY_MD5_ETAG = /^(?:W\/)?"?d41d8cd98f00b204e9800998ecf8427e"?$/i;

/**
 * The entry that the head describes. Throws store_failed if the size of another tool's object is unknown: it would
 * count as an empty object, and those may be replaced.
 */
export function entryOf(key: Key, head: ObjectHead): RemoteEntry {
  const { version } = head;
  // Some proxies send Content-Length: 0 with every HEAD response, because it has no body.
  const size = head.size === 0 && !EMPTY_MD5_ETAG.test(version) ? undefined : head.size;
  const fields = readFields(head);
  const { text, number } = fields;
  if (text(MARKER) === MARKER_VERSION) {
    if (text("deleted-at") !== undefined) return { ...tombstoneOf(fields), version };
    // An object that lost its bytes still occupies the key; a reader then finds it damaged.
    const info = infoOf(key, size || number("size"), fields);
    if (info !== undefined) return { state: "object", info, isStale: text("stale") === "1", version };
  }
  if (size === undefined) {
    throw new HuiyuanError("store_failed", `Cannot look up "${key}": S3 sends no size of the object`);
  }
  return { state: "foreign", size, modifiedAt: number("last-modified"), version };
}

interface FieldReader {
  text(name: string): string | undefined;
  /**
   * NaN if the field is missing or not a number. `last-modified` reads the header of S3 instead: Unix milliseconds,
   * 0 if it cannot be parsed.
   */
  number(name: string): number;
}

function readFields({ header }: ObjectHead): FieldReader {
  const text = (name: string) => fromAscii(header(PREFIX + name));
  return {
    text,
    number: (name) =>
      name === "last-modified" ? Date.parse(header(name) ?? "") || 0 : Number(text(name) ?? Number.NaN),
  };
}

function tombstoneOf({ text, number }: FieldReader) {
  const expiresAt = text("expires-at") === undefined ? {} : { expiresAt: number("expires-at") };
  return { state: "tombstone", deletedAt: number("deleted-at"), reason: text("reason") ?? "", ...expiresAt } as const;
}

/** Undefined if the description belongs to other bytes: some tools replace the bytes and keep the metadata. */
function infoOf(key: Key, size: number, { text, number }: FieldReader): ObjectInfo | undefined {
  const hashes = { sha256: text("sha256") ?? "", sha1: text("sha1"), md5: text("md5") };
  const format = text("format") ?? "";
  const via = text("via") ?? "";
  if (number("size") !== size || hashes.sha256.length !== 64 || !isFormat(format) || !isVia(via)) return undefined;
  const storedAt = number("stored-at") || number("last-modified");
  const optional = (name: string) => (text(name) === undefined ? undefined : number(name));
  const validatedAt = optional("validated-at");
  return {
    key,
    size,
    hashes,
    image: { format, width: optional("width"), height: optional("height") },
    headers: Object.fromEntries(
      STORED_HEADERS.flatMap((name) => {
        const value = text(name);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    provenance: {
      via,
      originUrl: text("origin-url"),
      originEtag: text("origin-etag"),
      originLastModified: text("origin-last-modified"),
      fetchedAt: number("fetched-at") || storedAt,
      validated: validatedAt === undefined ? undefined : { at: validatedAt, life: lifeOf(text("life")) },
    },
    modifiedAt: number("modified-at") || storedAt,
    storedAt,
    isSuspect: text("suspect") === "1",
  };
}

function lifeText(life: DeclaredLife = {}): string | undefined {
  return Object.keys(life).length === 0 ? undefined : JSON.stringify(life);
}

/** Tolerates any text, because another tool may have written it. */
function lifeOf(text = "{}"): DeclaredLife {
  try {
    const written = JSON.parse(text) as Record<string, unknown>;
    const known = DECLARED_LIFE.filter((name) => typeof written[name] === "string");
    return Object.fromEntries(known.map((name) => [name, written[name]]));
  } catch {
    return {};
  }
}

function pack(needed: Fields, optional: Fields): Record<string, string> {
  const packed: Record<string, string> = {};
  let left = MAX_BYTES;
  for (const [fields, isNeeded] of [
    [needed, true],
    [optional, false],
  ] as const) {
    for (const [name, value] of fields) {
      if (value === undefined || value === "") continue;
      const text = toAscii(String(value));
      const bytes = name.length + text.length;
      if (bytes > left && !isNeeded) continue;
      packed[PREFIX + name] = text;
      left -= bytes;
    }
  }
  return packed;
}

/**
 * Replaces every character except printable ASCII by %XX of its UTF-8. Spaces and `%` are replaced too, because signing
 * collapses runs of spaces.
 */
function toAscii(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]+/g, encodeURIComponent);
}

function fromAscii(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Written by another tool.
  }
}

const isFormat = (text: string): text is ImageFormat => text !== "json" && Object.hasOwn(MEDIA_TYPES, text);
const isVia = (text: string): text is Provenance["via"] => ["upload", "mirror", "migration"].includes(text);
