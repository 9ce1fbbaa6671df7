// Writes an object's description as metadata fields and reads it back: at most 2 KB, the limit of S3, in ASCII.
// Operators see these names and values in any tool of the store. Pure.

import { createHash, randomBytes } from "node:crypto";
import { HuiyuanError } from "../../../core/errors.ts";
import {
  DECLARED_LIFE,
  type DeclaredLife,
  type ImageFormat,
  type Key,
  MEDIA_TYPES,
  type ObjectInfo,
  type Provenance,
  STORED_HEADERS,
} from "../../../core/object.ts";
import type { Tombstone } from "../contract/driver.ts";
import type { ByteSource, RemoteEntry } from "./remote.ts";
import type { Description, RemoteHead } from "./requests.ts";

/** The limit of S3 less a margin for proxies. Bytes of all names (without a store's prefix) and values together. */
const MAX_BYTES = 2_000;
/** Present on every object that this program wrote. Its value is the version of the names below. */
const MARKER = "huiyuan";
const MARKER_VERSION = "1";

type Fields = [name: string, value: string | number | undefined][];

export function describe(info: ObjectInfo, options: { readonly isStale: boolean }): Description {
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
  return { contentType: MEDIA_TYPES[image.format], fields: pack(needed, optional) };
}

/** Describes the small object that marks a deleted key. */
export function describeTombstone(tombstone: Tombstone): Description {
  const needed: Fields = [
    [MARKER, MARKER_VERSION],
    ["deleted-at", tombstone.deletedAt],
    ["expires-at", tombstone.expiresAt],
  ];
  return { contentType: "text/plain", fields: pack(needed, [["reason", tombstone.reason]]) };
}

/**
 * The entry that the head describes. Throws store_failed if the size of another tool's object is unknown: it would
 * count as an empty object, and those may be replaced.
 */
export function entryOf(key: Key, head: RemoteHead): RemoteEntry {
  const { version, size, modifiedAt } = head;
  const fields = readFields(head);
  const { text, number } = fields;
  if (text(MARKER) === MARKER_VERSION) {
    if (text("deleted-at") !== undefined) return { ...tombstoneOf(fields), version };
    // An object that lost its bytes still occupies the key; a reader then finds it damaged.
    const info = infoOf(key, { size: size || number("size"), modifiedAt }, fields);
    if (info !== undefined) return { state: "object", info, isStale: text("stale") === "1", version };
  }
  if (size === undefined)
    throw new HuiyuanError("store_failed", `Cannot look up "${key}": the store sends no size of the object`);
  return { state: "foreign", size, modifiedAt, version };
}

interface FieldReader {
  text(name: string): string | undefined;
  /** NaN if the field is missing or not a number. */
  number(name: string): number;
}

function readFields({ field }: RemoteHead): FieldReader {
  const text = (name: string) => fromAscii(field(name));
  return { text, number: (name) => Number(text(name) ?? Number.NaN) };
}

function tombstoneOf({ text, number }: FieldReader) {
  const expiresAt = text("expires-at") === undefined ? {} : { expiresAt: number("expires-at") };
  return { state: "tombstone", deletedAt: number("deleted-at"), reason: text("reason") ?? "", ...expiresAt } as const;
}

/** Undefined if the description belongs to other bytes: some tools replace the bytes and keep the metadata. */
function infoOf(
  key: Key,
  { size, modifiedAt }: { readonly size: number; readonly modifiedAt: number },
  { text, number }: FieldReader,
): ObjectInfo | undefined {
  const hashes = { sha256: text("sha256") ?? "", sha1: text("sha1"), md5: text("md5") };
  const format = text("format") ?? "";
  const via = text("via") ?? "";
  if (number("size") !== size || hashes.sha256.length !== 64 || !isFormat(format) || !isVia(via)) return undefined;
  const storedAt = number("stored-at") || modifiedAt;
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
      packed[name] = text;
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

const BYTES = 16;

/** All attempts of one request send the same bytes. */
export function tombstoneBody(): ByteSource {
  // 96 bits as text, so that the object is readable in other tools.
  const bytes = Buffer.from(randomBytes(12).toString("base64url"));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { size: BYTES, hashes: { sha256, sha1: undefined, md5: undefined }, read: async () => bytes };
}

/** False for the size of a tombstone, and for empty objects: old tombstones and the folders of S3 consoles. */
export function mayBeObject(size: number): boolean {
  return size > 0 && size !== BYTES;
}
