// An object's description as x-amz-meta-* headers and back: at most 2 KB, as S3 allows, ASCII whatever the values hold.
// What an operator reads with any S3 tool is what stands here. Pure.
import {
  DECLARED_LIFE,
  type DeclaredLife,
  type ImageFormat,
  type Key,
  MEDIA_TYPES,
  type ObjectInfo,
  type Provenance,
  STORED_HEADERS,
} from "../../object.ts";
import type { Tombstone } from "../driver.ts";
import type { RemoteEntry } from "../remote.ts";

/** The bound of S3, less what a proxy may add. Names (without x-amz-meta-) and values together, bytes. */
const MAX_BYTES = 2_000;
const PREFIX = "x-amz-meta-";
/** Marks what this program has written; its value is the version of the names below. */
const MARK = "huiyuan";
const MARK_VALUE = "1";

type Fields = [name: string, value: string | number | undefined][];

/** Headers of an object. `key` is written where the name does not hold it. */
export function describe(info: ObjectInfo, options: { isStale: boolean; key: Key | undefined }) {
  const { hashes, image, provenance } = info;
  const needed: Fields = [
    [MARK, MARK_VALUE],
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
    ["key", options.key === undefined ? undefined : Buffer.from(options.key).toString("base64url")],
  ];
  // Most wanted first: what does not fit any more is left out whole.
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

/** Headers of the zero-byte object that marks a deleted key. */
export function describeTombstone(tombstone: Tombstone, key: Key | undefined) {
  const name = key === undefined ? undefined : Buffer.from(key).toString("base64url");
  const needed: Fields = [
    [MARK, MARK_VALUE],
    ["deleted-at", tombstone.deletedAt],
    ["expires-at", tombstone.expiresAt],
    ["key", name],
  ];
  return { "content-type": "application/x-empty", ...pack(needed, [["reason", tombstone.reason]]) };
}

/** The head of an answer to HEAD or GET. `size` and `version` are undefined where S3 did not say. */
export interface ObjectHead {
  header(name: string): string | undefined;
  readonly size: number;
  readonly version: string;
}

/** What the head says lies under `key`. */
export function entryOf(key: Key, { header, size, version }: ObjectHead): RemoteEntry {
  const read = (name: string) => fromAscii(header(PREFIX + name));
  const number = (name: string) => Number(read(name) ?? Number.NaN);
  const modifiedAt = Date.parse(header("last-modified") ?? "") || 0;
  if (read(MARK) !== MARK_VALUE) return { state: "foreign", size, modifiedAt, version };
  const deletedAt = number("deleted-at");
  if (deletedAt >= 0) {
    const expiresAt = read("expires-at") === undefined ? {} : { expiresAt: number("expires-at") };
    return { state: "tombstone", deletedAt, ...expiresAt, reason: read("reason") ?? "", version };
  }
  const hashes = { sha256: read("sha256") ?? "", sha1: read("sha1") ?? "", md5: read("md5") ?? "" };
  const format = read("format") ?? "";
  const via = read("via") ?? "";
  // Another tool may have replaced the bytes and kept the metadata, as some do on a copy.
  if (number("size") !== size || hashes.sha256.length !== 64 || !isFormat(format) || !isVia(via)) {
    return { state: "foreign", size, modifiedAt, version };
  }
  const headers: Record<string, string> = {};
  for (const name of STORED_HEADERS) {
    const value = read(name);
    if (value !== undefined) headers[name] = value;
  }
  const side = (name: string) => (read(name) === undefined ? undefined : number(name));
  const info: ObjectInfo = {
    key,
    size,
    hashes,
    image: { format, width: side("width"), height: side("height") },
    headers,
    provenance: {
      via,
      originUrl: read("origin-url"),
      originEtag: read("origin-etag"),
      originLastModified: read("origin-last-modified"),
      fetchedAt: number("fetched-at") || 0,
      validated:
        read("validated-at") === undefined ? undefined : { at: number("validated-at"), life: lifeOf(read("life")) },
    },
    modifiedAt: number("modified-at") || modifiedAt,
    storedAt: number("stored-at") || modifiedAt,
    isSuspect: read("suspect") === "1",
  };
  return { state: "object", info, isStale: read("stale") === "1", version };
}

/** The key of an object whose name does not hold it. */
export function keyInMetadata(header: ObjectHead["header"]): string | undefined {
  const value = header(`${PREFIX}key`);
  return value === undefined ? undefined : Buffer.from(value, "base64url").toString();
}

function lifeText(life: DeclaredLife = {}): string | undefined {
  return Object.keys(life).length === 0 ? undefined : JSON.stringify(life);
}

/** Another tool may have written anything. */
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

/** Everything but printable ASCII, blanks (which signing squeezes) and `%` is %XX of its UTF-8. */
function toAscii(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]+/g, encodeURIComponent);
}

function fromAscii(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // another tool's
  }
}

const isFormat = (text: string): text is ImageFormat => Object.hasOwn(MEDIA_TYPES, text);
const isVia = (text: string): text is Provenance["via"] => ["upload", "mirror", "migration"].includes(text);
