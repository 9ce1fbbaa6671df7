// Handles one packet of an upload in slices. A control packet starts an upload, asks for its offset, or finishes at
// once if the bucket has the bytes (秒传). A data packet carries the next slice or repeats an earlier one.
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { errorCodeOf } from "../../../core/disk-failure.ts";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import { createGate } from "../../body/gate/gate.ts";
import { createBodyHasher } from "../../body/spool/hashing.ts";
import type { Spool } from "../../body/spool/spool.ts";
import type { FormFields } from "../form.ts";
import {
  instantUpload,
  type MakeFileDraft,
  type Received,
  refuseExisting,
  type Stored,
  storeUpload,
  type UploadTarget,
  type VerifyDecodable,
} from "../upload-store.ts";
import type { SliceOrder } from "./slice-folder.ts";
import type { Slices, SliceUpload } from "./slices.ts";

/** `begun`: continue at `offset`. `taken`: the slice at `offset` was accepted. `stored`: the image is stored. */
export type SliceAnswer =
  | { readonly kind: "begun"; readonly session: string; readonly offset: number; readonly sliceSize: number }
  | { readonly kind: "taken"; readonly session: string; readonly offset: number }
  | ({ readonly kind: "stored" } & Stored);

export interface SlicePacket {
  readonly target: UploadTarget;
  readonly appid: string;
  readonly bucketId: string;
  /** Undefined: the server chooses one. */
  readonly requested: Key | undefined;
  readonly fields: FormFields;
  /** Undefined in a control packet. The caller owns the spool. */
  readonly slice: { readonly size: number; readonly spool: Spool } | undefined;
}

export interface SliceParts {
  readonly slices: Slices;
  readonly verify: VerifyDecodable;
  readonly makeOutboxDraft: MakeFileDraft;
  readonly maxImageBytes: number;
  /** Unix milliseconds. */
  readonly now: number;
}

export const MAX_SLICE_BYTES = 3_145_728;
const MIN_SLICE_BYTES = 1_024;
const DEFAULT_SLICE_BYTES = 524_288;

/**
 * Throws form_value_invalid, upload_id_unknown, slice_size_differs, slice_too_large, slice_too_small, slices_too_large,
 * upload_size, slices_hash_wrong, upload_not_image, upload_exists, overloaded, render_overloaded,
 * render_failed, store_full, store_failed.
 */
export async function takePacket(packet: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { fields, slice } = packet;
  // Some clients send an empty session with their first packet.
  const session = fields.session?.trim() || undefined;
  if (session === undefined) {
    if (slice === undefined) return begin(packet, parts);
    throw unknownUpload("no session");
  }
  const upload = parts.slices.find(session);
  const isSame = upload?.order.bucketId === packet.bucketId && upload.order.requested === packet.requested;
  if (!isSame) throw unknownUpload(session.slice(0, 40));
  return upload.runExclusive(() =>
    slice === undefined ? resume(upload, packet, parts) : takeSlice(upload, slice, packet, parts),
  );
}

async function begin(packet: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { target, appid, bucketId, requested, fields } = packet;
  const { slices, maxImageBytes } = parts;
  const { sha1, size, sliceSize } = readDeclaration(fields, maxImageBytes);
  if (requested !== undefined) await refuseExisting(target, requested);
  const fileid = requested ?? toKey(randomUUID());
  const magicContext = fields.magiccontext ?? "";
  const known = await instantUpload(target, { sha1, size, fileid, magicContext }, parts.makeOutboxDraft);
  if (known !== undefined) return { kind: "stored", ...known };
  const upload = await slices.begin({ appid, bucketId, requested, fileid, sha1, size, sliceSize, magicContext });
  return { kind: "begun", session: upload.id, offset: 0, sliceSize };
}

function readDeclaration(fields: FormFields, maxImageBytes: number): Pick<SliceOrder, "sha1" | "size" | "sliceSize"> {
  const sha1 = fields.sha?.trim().toLowerCase() ?? "";
  if (!/^[0-9a-f]{40}$/.test(sha1)) throw badValue("sha", "40 hex digits");
  const size = numberIn(fields, "filesize");
  const sliceSize = fields.slice_size?.trim() ? numberIn(fields, "slice_size") : DEFAULT_SLICE_BYTES;
  if (size === 0)
    throw new HuiyuanError("upload_size", "Cannot accept slices: the file has 0 bytes, at least 1 is needed");
  if (size > maxImageBytes) throw wrongSize("slices_too_large", size, `at most ${maxImageBytes}`);
  if (sliceSize > MAX_SLICE_BYTES) throw wrongSize("slice_too_large", sliceSize, `at most ${MAX_SLICE_BYTES}`);
  if (sliceSize < MIN_SLICE_BYTES) throw wrongSize("slice_too_small", sliceSize, `at least ${MIN_SLICE_BYTES}`);
  return { sha1, size, sliceSize };
}

/** Tells a client at which offset to continue. */
async function resume(upload: SliceUpload, packet: SlicePacket, parts: SliceParts): Promise<SliceAnswer> {
  const { id: session, order, received } = upload;
  const { sha, filesize } = packet.fields;
  const isOther =
    (sha && sha.trim().toLowerCase() !== order.sha1) ||
    (filesize && numberIn(packet.fields, "filesize") !== order.size);
  if (isOther) throw unknownUpload(session);
  if (received === order.size) return finish(upload, { ...parts, target: packet.target });
  return { kind: "begun", session, offset: received, sliceSize: order.sliceSize };
}

async function takeSlice(
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
    throw new HuiyuanError(
      "slice_size_differs",
      `Cannot accept a slice of ${found}: ${received} of ${order.size} bytes received`,
    );
  }
  if (offset === received) await upload.append(chunksOf(spool), size);
  const isLast = offset + size === order.size;
  return isLast ? finish(upload, { ...parts, target: packet.target }) : { kind: "taken", session, offset };
}

async function* chunksOf(spool: Spool): AsyncGenerator<Buffer> {
  const never = new AbortController().signal;
  for (let at = 0; ; ) {
    const chunk = await spool.read(at, never);
    if (chunk === undefined) return;
    yield chunk;
    at += chunk.byteLength;
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
  return new HuiyuanError(code, `Cannot accept slices: ${found} bytes, wanted ${wanted}`);
}

type FinishParts = Pick<SliceParts, "verify" | "makeOutboxDraft" | "now"> & Pick<SlicePacket, "target">;

const READ_BYTES = 262_144;
/** These errors end the upload, because a retry cannot help. Failures of the store do not. */
const FINAL_CODES: readonly ErrorCode[] = [
  "upload_exists",
  "upload_not_image",
  "upload_size",
  "slices_hash_wrong",
  "upload_id_unknown",
];

/**
 * Reads all received bytes back as one file and stores it as an image of the bucket. It may be repeated after a crash
 * or a lost response, with the same result. Throws FINAL_CODES, store_full, store_failed, render_overloaded,
 * render_failed. The caller runs it exclusively for this upload.
 */
async function finish(upload: SliceUpload, parts: FinishParts): Promise<SliceAnswer> {
  try {
    return { kind: "stored", ...((await findStored(upload, parts)) ?? (await storeNow(upload, parts))) };
  } catch (error) {
    if (error instanceof HuiyuanError && FINAL_CODES.includes(error.code)) await upload.discard();
    throw error;
  }
}

/**
 * The image of an earlier attempt; the client repeats the last slice, or the server crashed before its response. The
 * business server gets its notice again too.
 */
async function findStored(upload: SliceUpload, { target, makeOutboxDraft }: FinishParts): Promise<Stored | undefined> {
  const { id, order, phase } = upload;
  if (phase === "arriving") return undefined;
  const entry = await target.bucket.lookup(order.fileid);
  // The image may be stored, so neither a result nor a cleanup is possible until the lookup works.
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  if (entry.state !== "object" || entry.info.hashes.sha1 !== order.sha1) {
    if (phase === "storing") return undefined;
    throw unknownUpload(id); // The image was deleted since.
  }
  if (phase === "storing") await markStored(upload);
  return { info: entry.info, outboxDraft: await makeOutboxDraft(order) };
}

async function storeNow(upload: SliceUpload, parts: FinishParts): Promise<Stored> {
  const { id, order, path } = upload;
  const { fileid, sha1, magicContext } = order;
  const received = await readBack(path, order);
  // The file is gone after a crash while the bucket was storing it: the bucket renames it away.
  if (received === undefined) throw unknownUpload(id);
  if (received.body.hashes.sha1 !== sha1) {
    const found = `its slices have the SHA-1 ${received.body.hashes.sha1}, declared was ${sha1}`;
    throw new HuiyuanError("slices_hash_wrong", `Cannot store "${fileid}": ${found}`);
  }
  await upload.setPhase("storing");
  const stored = await storeUpload({ ...parts, fileid, received, fields: {}, magicContext });
  await markStored(upload);
  return stored;
}

/** The image is durable even if the note cannot be written; the next attempt then looks it up. */
function markStored(upload: SliceUpload): Promise<void> {
  return upload.setPhase("stored").catch(() => undefined); // The disk may be full.
}

/** Undefined if the file is gone or has another size. */
async function readBack(path: string, order: SliceOrder): Promise<Received | undefined> {
  const gate = createGate();
  const hasher = createBodyHasher();
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
      gate.push(chunk);
      hasher.update(chunk);
      size += chunk.byteLength;
    }
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return undefined;
    throw new HuiyuanError("store_failed", `Cannot read "${path}"`, { cause: error });
  }
  if (size !== order.size) return undefined;
  const content = { kind: "file", path } as const;
  const verdict = gate.verdict({ framing: "chunked", isFramingWhole: true, isHashRight: true });
  return { body: { size, ...hasher.digest(), content }, image: verdict.kind === "whole" ? verdict.image : undefined };
}

function unknownUpload(id: string): HuiyuanError {
  return new HuiyuanError("upload_id_unknown", `Cannot continue the upload "${id}": no such upload exists`);
}
