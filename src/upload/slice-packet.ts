// What one packet of an upload in slices does: a control packet begins one, asks how far it is, or finds that its bucket has
// the bytes already (秒传); a data packet brings the next slice, or one again that was taken before.
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { createGate } from "../body/gate.ts";
import { createBodyHasher } from "../body/hashing.ts";
import type { Spool } from "../body/spool.ts";
import { readWhole } from "../bucket/read-whole.ts";
import { type ErrorCode, HuiyuanError } from "../errors.ts";
import { type Key, type ObjectInfo, toKey } from "../object.ts";
import type { FormFields } from "./form.ts";
import type { Received } from "./receive.ts";
import type { SliceOrder } from "./slice-note.ts";
import type { Slices, SliceUpload } from "./slices.ts";
import {
  type AnnounceFile,
  exists,
  type Place,
  refuseExisting,
  type Stored,
  storeUpload,
  storing,
  type UploadedFile,
} from "./store.ts";

/** `begun`: go on from `offset`. `taken`: the slice at `offset` was. `stored`: there is the image. */
export type SliceAnswer =
  | { readonly kind: "begun"; readonly session: string; readonly offset: number; readonly sliceSize: number }
  | { readonly kind: "taken"; readonly session: string; readonly offset: number }
  | ({ readonly kind: "stored" } & Stored);

export interface SlicePacket {
  readonly place: Place;
  readonly appid: string;
  readonly bucketId: string;
  /** Undefined: the server makes it. */
  readonly requested: Key | undefined;
  readonly fields: FormFields;
  /** Undefined in a control packet. Its spool is the caller's. */
  readonly slice: { readonly size: number; readonly spool: Spool } | undefined;
}

export interface SliceParts {
  readonly slices: Slices;
  readonly maxImageBytes: number;
  readonly announce: AnnounceFile;
  /** Unix milliseconds. */
  readonly now: number;
}

export const MAX_SLICE_BYTES = 3_145_728;
const MIN_SLICE_BYTES = 1_024;
const DEFAULT_SLICE_BYTES = 524_288;
/** As small images are stored best. */
const IN_MEMORY_BYTES = 262_144;

/**
 * Throws form_value_invalid, upload_id_unknown, slice_size_differs, slice_too_large, slice_too_small, slices_too_large,
 * upload_size, slices_hash_wrong, upload_not_image, upload_exists, overloaded, store_full, store_failed.
 */
export async function takePacket(packet: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { fields, slice } = packet;
  // Some clients send an empty one with their first packet.
  const session = fields.session?.trim() || undefined;
  if (session === undefined) {
    if (slice === undefined) return begin(packet, parts);
    throw unknownUpload("no session");
  }
  const upload = parts.slices.find(session);
  if (upload === undefined || !isFor(upload.order, packet)) throw unknownUpload(session.slice(0, 40));
  return upload.alone(() => (slice === undefined ? resume(upload, packet, parts) : take(upload, slice, packet, parts)));
}

async function begin(packet: SlicePacket, { slices, maxImageBytes, announce }: SliceParts): Promise<SliceAnswer> {
  const { place, appid, bucketId, requested, fields } = packet;
  const { sha1, size, sliceSize } = announced(fields, maxImageBytes);
  if (requested !== undefined) await refuseExisting(place, requested);
  const fileid = requested ?? toKey(randomUUID());
  const magicContext = fields.magiccontext ?? "";
  const known = await copyOfEqual(place, { sha1, size, fileid, magicContext }, announce);
  if (known !== undefined) return { kind: "stored", ...known };
  const upload = await slices.begin({ appid, bucketId, requested, fileid, sha1, size, sliceSize, magicContext });
  return { kind: "begun", session: upload.id, offset: 0, sliceSize };
}

function announced(fields: FormFields, maxImageBytes: number): Pick<SliceOrder, "sha1" | "size" | "sliceSize"> {
  const sha1 = fields.sha?.trim().toLowerCase() ?? "";
  if (!/^[0-9a-f]{40}$/.test(sha1)) throw badValue("sha", "40 hex digits");
  const size = numberIn(fields, "filesize");
  const sliceSize = fields.slice_size?.trim() ? numberIn(fields, "slice_size") : DEFAULT_SLICE_BYTES;
  if (size === 0) throw new HuiyuanError("upload_size", "Cannot take slices of a file without bytes");
  if (size > maxImageBytes) throw wrongSize("slices_too_large", size, `at most ${maxImageBytes}`);
  if (sliceSize > MAX_SLICE_BYTES) throw wrongSize("slice_too_large", sliceSize, `at most ${MAX_SLICE_BYTES}`);
  if (sliceSize < MIN_SLICE_BYTES) throw wrongSize("slice_too_small", sliceSize, `at least ${MIN_SLICE_BYTES}`);
  return { sha1, size, sliceSize };
}

function isFor({ bucketId, requested }: SliceOrder, packet: SlicePacket): boolean {
  return bucketId === packet.bucketId && requested === packet.requested;
}

/** Where a client that has lost count goes on. */
async function resume(upload: SliceUpload, packet: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { id: session, order, received } = upload;
  const { sha, filesize } = packet.fields;
  const isOther =
    (sha && sha.trim().toLowerCase() !== order.sha1) ||
    (filesize && numberIn(packet.fields, "filesize") !== order.size);
  if (isOther) throw unknownUpload(session);
  if (received === order.size) return finish(upload, packet, parts);
  return { kind: "begun", session, offset: received, sliceSize: order.sliceSize };
}

async function take(
  upload: SliceUpload,
  { size, spool }: NonNullable<SlicePacket["slice"]>,
  packet: SlicePacket,
  parts: SliceParts,
): Promise<SliceAnswer> {
  const { id: session, order, received } = upload;
  const offset = numberIn(packet.fields, "offset");
  if (size > MAX_SLICE_BYTES) throw wrongSize("slice_too_large", size, `at most ${MAX_SLICE_BYTES}`);
  const wanted = Math.min(order.sliceSize, order.size - offset);
  const isInPlace = offset <= received && offset < order.size && offset % order.sliceSize === 0;
  if (!isInPlace || size !== wanted) {
    const found = `${size} bytes at ${offset}`;
    throw new HuiyuanError("slice_size_differs", `Cannot take ${found}: ${received} of ${order.size} have come`);
  }
  if (offset === received) await upload.append(piecesOf(spool), size);
  const isLast = offset + size === order.size;
  return isLast ? finish(upload, packet, parts) : { kind: "taken", session, offset };
}

async function* piecesOf(spool: Spool): AsyncGenerator<Buffer> {
  const never = new AbortController().signal;
  for (let at = 0; ; ) {
    const piece = await spool.read(at, never);
    if (piece === undefined) return;
    yield piece;
    at += piece.byteLength;
  }
}

/** All bytes have come. What cannot become an image of this upload ends it; a store that fails does not. */
async function finish(upload: SliceUpload, { place }: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { order, phase } = upload;
  const { fileid, magicContext } = order;
  const { announce, now } = parts;
  if (phase !== "arriving") {
    const info = await storedBefore(place, order);
    if (info !== undefined) {
      if (phase === "storing") await upload.enter("stored");
      return { kind: "stored", info, announcement: await announce(order) };
    }
    // Deleted since; or a crash came before the bucket had it.
    if (phase === "stored") throw await over(upload, unknownUpload(upload.id));
  }
  const received = await readBack(upload);
  // A crash came while the bucket was taking it.
  if (received === undefined) throw await over(upload, unknownUpload(upload.id));
  if (received.body.hashes.sha1 !== order.sha1) {
    const message = `Cannot store "${fileid}": its slices have another SHA-1 than ${order.sha1}`;
    throw await over(upload, new HuiyuanError("slices_hash_wrong", message));
  }
  await upload.enter("storing");
  try {
    const stored = await storeUpload({ place, fileid, received, fields: {}, magicContext, announce, now });
    await upload.enter("stored");
    return { kind: "stored", ...stored };
  } catch (error) {
    const isFinal = error instanceof HuiyuanError && FINAL.includes(error.code);
    throw isFinal ? await over(upload, error) : error;
  }
}

const FINAL: readonly ErrorCode[] = ["upload_exists", "upload_not_image", "upload_size"];

async function over(upload: SliceUpload, error: Error): Promise<Error> {
  await upload.discard();
  return error;
}

/** What an earlier attempt has stored, perhaps without living to say so. */
async function storedBefore(place: Place, { fileid, sha1 }: SliceOrder): Promise<ObjectInfo | undefined> {
  const entry = await place.bucket.lookup(fileid);
  return entry.state === "object" && entry.info.hashes.sha1 === sha1 ? entry.info : undefined;
}

/** Undefined: the file is gone, or has another size. */
async function readBack({ path, order }: SliceUpload): Promise<Received | undefined> {
  const gate = createGate();
  const hasher = createBodyHasher();
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 262_144 }) as AsyncIterable<Buffer>) {
      gate.push(piece);
      hasher.update(piece);
      size += piece.byteLength;
      if (order.size <= IN_MEMORY_BYTES) pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new HuiyuanError("store_failed", `Cannot read "${path}"`, { cause: error });
  }
  if (size !== order.size) return undefined;
  const verdict = gate.verdict({ framing: "chunked", isFramingWhole: true, isHashRight: true });
  const buffer = { kind: "buffer", buffer: Buffer.concat(pieces) } as const;
  const content = size <= IN_MEMORY_BYTES ? buffer : ({ kind: "file", path } as const);
  return { body: { size, ...hasher.digest(), content }, image: verdict.kind === "whole" ? verdict.image : undefined };
}

/** Instant upload: the bucket has these bytes under another name, which is read before it is believed. */
async function copyOfEqual(place: Place, file: UploadedFile, announce: AnnounceFile): Promise<Stored | undefined> {
  const { sha1, size, fileid } = file;
  const equal = await place.bucket.findBySha1(sha1);
  if (equal === undefined || equal.size !== size || !(await isSound(place, equal))) return undefined;
  const announcement = await announce(file);
  const result = await storing(announcement, () => place.copy(equal.key, fileid, { when: "vacant" }));
  if (result === "exists") throw exists(fileid);
  if (result !== "stored") return undefined;
  const entry = await place.bucket.lookup(fileid);
  if (entry.state === "object") return { info: entry.info, announcement };
  // Deleted, or set aside, in this very moment.
  announcement?.leave();
  return undefined;
}

async function isSound(place: Place, info: ObjectInfo): Promise<boolean> {
  const reader = await place.bucket.open(info);
  if (reader === undefined) return false;
  try {
    await readWhole(reader, info.size);
    return true;
  } catch (error) {
    // The store has set it aside; the slices bring good bytes.
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return false;
    throw error;
  } finally {
    reader.close();
  }
}

/** Throws form_value_invalid. */
function numberIn(fields: FormFields, name: "filesize" | "slice_size" | "offset"): number {
  const text = fields[name]?.trim() ?? "";
  if (!/^\d{1,15}$/.test(text)) throw badValue(name, "a whole number");
  return Number(text);
}

function badValue(name: string, wanted: string): HuiyuanError {
  return new HuiyuanError("form_value_invalid", `Cannot read the form: ${name} is not ${wanted}`);
}

function wrongSize(code: ErrorCode, found: number, wanted: string): HuiyuanError {
  return new HuiyuanError(code, `Cannot take slices: ${found} bytes, wanted ${wanted}`);
}

function unknownUpload(id: string): HuiyuanError {
  return new HuiyuanError("upload_id_unknown", `Cannot go on with the upload "${id}": there is none such`);
}
