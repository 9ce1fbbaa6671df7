// Receives a file into a spool, decodes it, and stores it in its bucket. Refuses a file that is no image, that differs
// from the declared digests, or whose name is taken.

import type { Readable } from "node:stream";
import { asHuiyuanError, type ErrorCode, errorKind, HuiyuanError } from "../../core/errors.ts";
import { closeFile, openFile, readInto } from "../../core/files.ts";
import type { ImageFacts, Key, ObjectInfo } from "../../core/object.ts";
import { type BodyEnd, createGate, type Verdict } from "../body/gate/gate.ts";
import { bodyRoom, releaseRoom } from "../body/head-room.ts";
import type { Spool, WholeBody } from "../body/spool/spool.ts";
import { type Bucket, describeObject, readWhole, uploadedAt } from "../bucket/contract/bucket.ts";
import type { ObjectReader } from "../bucket/contract/driver.ts";
import { isProcessable } from "../image/formats/loaders.ts";
import type { Renderer, VerifyRequest } from "../image/renderer.ts";
import type { MakeOutboxDraft, OutboxDraft, Uploaded } from "./callback/callback.ts";
import type { FormFields } from "./form.ts";

/** The bucket of an upload. `put` and `copy` also notify the caches above the bucket. */
export interface UploadTarget extends Pick<Bucket, "put" | "copy"> {
  readonly bucket: Pick<Bucket, "lookup" | "open" | "digest" | "findBySha1">;
}

export interface StoreOptions {
  readonly target: UploadTarget;
  readonly fileid: Key;
  readonly received: Received;
  readonly fields: Pick<FormFields, "md5" | "sha">;
  /** Unix milliseconds. */
  readonly now: number;
  readonly magicContext: string;
  readonly verify: VerifyDecodable;
  readonly makeOutboxDraft: MakeFileDraft;
  /** True: an object of this name is replaced. No client of the REST API may do that. */
  readonly replaces?: boolean;
}

/** The part of a callback notice that describes the file. */
export type UploadedFile = Pick<Uploaded, "sha1" | "size" | "magicContext"> & { readonly fileid: Key };

/** As MakeOutboxDraft. Called once only the store can still refuse the file. */
export type MakeFileDraft = (file: UploadedFile) => ReturnType<MakeOutboxDraft>;

/** The stored object, and the draft of its callback notice. */
export interface Stored {
  readonly info: ObjectInfo;
  readonly outboxDraft: OutboxDraft | undefined;
}

/**
 * Durable when it resolves. Throws upload_size (no bytes), upload_md5_wrong, upload_sha1_wrong, upload_not_image,
 * upload_exists, store_full, store_failed, render_overloaded, render_failed.
 */
export async function storeUpload(options: StoreOptions): Promise<Stored> {
  const { target, fileid, fields, magicContext, verify, makeOutboxDraft, now, replaces = false } = options;
  const { body, image } = options.received;
  if (body.size === 0) throw new HuiyuanError("upload_size", `Cannot store "${fileid}": the file is empty`);
  if (differs(fields.md5, body.hashes.md5)) {
    throw new HuiyuanError("upload_md5_wrong", `Cannot store "${fileid}": its MD5 is ${body.hashes.md5}`);
  }
  if (differs(fields.sha, body.hashes.sha1)) {
    throw new HuiyuanError("upload_sha1_wrong", `Cannot store "${fileid}": its SHA-1 is ${body.hashes.sha1}`);
  }
  if (image === undefined) throw new HuiyuanError("upload_not_image", `Cannot store "${fileid}": it is no whole image`);
  const loaded: Buffer[] = [];
  const load = async () => {
    if (body.content.kind === "buffer") return body.content.buffer;
    const bytes = await readWholeFile(body.content.path, body.size);
    loaded.push(bytes);
    return bytes;
  };
  await verify({ fileid, size: body.size, image, load });
  for (const bytes of loaded) releaseRoom(bytes);
  const info = describeObject({ key: fileid, body, image, provenance: uploadedAt(now), now });
  const { size, hashes } = body;
  const outboxDraft = await makeOutboxDraft({ fileid, sha1: hashes.sha1 ?? "", size, magicContext });
  const result = await storeWithDraft(outboxDraft, () =>
    target.put(info, body, { when: replaces ? "always" : "vacant" }),
  );
  if (result !== "stored") throw existsError(fileid);
  return { info, outboxDraft };
}

/** Resolves as `store`. Withdraws the draft unless the result is `stored`; marks it unknown if `store` throws. */
async function storeWithDraft<Result>(
  outboxDraft: OutboxDraft | undefined,
  store: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await store();
    if (result !== "stored") outboxDraft?.withdraw();
    return result;
  } catch (error) {
    // A write that failed may still be durable.
    outboxDraft?.markUnknown();
    throw error;
  }
}

/**
 * Refuses an upload early, before its bytes are sent. A damaged object does not count, because an upload may repair it.
 * Throws upload_exists.
 */
export async function refuseExisting(target: UploadTarget, fileid: Key): Promise<void> {
  const entry = await target.bucket.lookup(fileid);
  if (entry.state === "object" && entry.info.isDamaged !== true) throw existsError(fileid);
}

function existsError(fileid: Key): HuiyuanError {
  return new HuiyuanError("upload_exists", `Cannot store "${fileid}": an object of this name exists`);
}

/** An empty field declares nothing. */
function differs(declared: string | undefined, found: string | undefined): boolean {
  return declared !== undefined && declared !== "" && declared.trim().toLowerCase() !== found;
}

/**
 * Instant upload (秒传): if the bucket has these bytes under another name, they are copied instead of sent again. The
 * stored bytes are read and checked first. Undefined if the bucket has no such object, or only a damaged one (reading
 * it has quarantined it), or a fetched one: only uploads were decoded when they were stored. Throws upload_exists,
 * store_failed.
 */
export async function instantUpload(
  target: UploadTarget,
  file: UploadedFile,
  makeOutboxDraft: MakeFileDraft,
): Promise<Stored | undefined> {
  const { sha1, size, fileid } = file;
  const equal = await target.bucket.findBySha1(sha1);
  if (equal?.provenance.via !== "upload" || equal.size !== size || !(await isReadable(target, equal))) return undefined;
  const outboxDraft = await makeOutboxDraft(file);
  const result = await storeWithDraft(outboxDraft, () => target.copy(equal.key, fileid, { when: "vacant" }));
  if (result === "exists") throw existsError(fileid);
  if (result !== "stored") return undefined;
  const entry = await target.bucket.lookup(fileid);
  if (entry.state === "object") return { info: entry.info, outboxDraft };
  outboxDraft?.markUnknown();
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  // The object was deleted or quarantined just now.
  return undefined;
}

/** Reads all bytes. False if the object is gone or damaged. */
async function isReadable(target: UploadTarget, info: ObjectInfo): Promise<boolean> {
  let reader: ObjectReader | undefined;
  try {
    reader = await target.bucket.open(info);
    if (reader === undefined) return false;
    await readWhole(reader, info.size);
    return true;
  } catch (error) {
    if (errorKind(error) === "replaced") return false;
    throw error;
  } finally {
    reader?.close();
  }
}

/** A received file. Its body belongs to the spool and is gone once nothing holds the spool. */
export interface Received {
  readonly body: WholeBody;
  /** Undefined if the file is no whole image. */
  readonly image: ImageFacts | undefined;
}

/**
 * Receives the file part of a form into a spool and checks the image's structure on the way, without holding the whole
 * file in memory. Throws `tooLarge` beyond `maxBytes`, the stream's error, store_full and store_failed. The caller owns
 * the spool.
 */
export async function receiveFile(file: Readable, options: ReceiveOptions): Promise<Received> {
  // The form's boundary has ended the file, as the last chunk of a chunked body would.
  const { body, verdict } = await receiveBody(file, { ...options, framing: "chunked" }, () => file.errored);
  return { body, image: verdict.kind === "whole" ? verdict.image : undefined };
}

export interface ReceiveOptions {
  readonly spool: Spool;
  readonly maxBytes: number;
  readonly tooLarge: ErrorCode;
}

export interface ReceivedBody {
  readonly body: WholeBody;
  readonly verdict: Verdict;
}

/** As receiveFile(). `errored`: the coded error of a stream, before which its parser's own may be thrown. */
export async function receiveBody(
  chunks: AsyncIterable<Buffer>,
  { spool, maxBytes, tooLarge, framing }: ReceiveOptions & Pick<BodyEnd, "framing">,
  errored: () => Error | null = () => null,
): Promise<ReceivedBody> {
  const gate = createGate();
  try {
    for await (const chunk of chunks) {
      if (spool.received + chunk.byteLength > maxBytes) {
        throw new HuiyuanError(tooLarge, `Cannot accept the file: more than ${maxBytes} bytes`);
      }
      gate.push(chunk);
      if (!spool.write(chunk)) await spool.drained();
    }
  } catch (error) {
    const known = error instanceof HuiyuanError ? error : asHuiyuanError(errored() ?? error);
    spool.fail(known);
    throw known;
  }
  const verdict = gate.verdict({ framing, isFramingWhole: true, isHashRight: true });
  return { body: await spool.finish(), verdict };
}

async function readWholeFile(path: string, size: number): Promise<Buffer> {
  let descriptor: number | undefined;
  try {
    descriptor = await openFile(path, "r");
    const bytes = bodyRoom(size);
    await readInto(descriptor, bytes, 0);
    return bytes;
  } catch (error) {
    throw new HuiyuanError("store_failed", `Cannot read "${path}"`, { cause: error });
  } finally {
    if (descriptor !== undefined) closeFile(descriptor);
  }
}

/**
 * Decodes an uploaded image before it is stored, because magic bytes and structure do not show whether there are
 * pixels. An image that is too large to be processed is accepted undecoded, and so is a format without a decoder here
 * (TIFF, HEIC, ICO, SVG): its structure is whole. Throws upload_not_image, render_overloaded,
 * render_failed, store_failed and the errors of `load`.
 */
export type VerifyDecodable = (image: Omit<VerifyRequest, "signal"> & { readonly fileid: Key }) => Promise<void>;

/** The image is too large for the decoder or for its time limit, so nothing is known about its pixels. */
const UNDECIDED: readonly ErrorCode[] = ["image_too_large", "image_too_heavy", "render_timeout"];

export function createVerifyDecodable(renderer: Pick<Renderer, "verify">): VerifyDecodable {
  return async ({ fileid, ...image }) => {
    if (!isProcessable(image.image.format)) return;
    try {
      // Never aborted: the file is stored even if the client disconnects after sending it.
      const { signal } = new AbortController();
      await renderer.verify({ ...image, signal });
    } catch (error) {
      const known = asHuiyuanError(error);
      if (UNDECIDED.includes(known.code)) return;
      if (known.code !== "image_not_processable") throw known;
      throw new HuiyuanError("upload_not_image", `Cannot store "${fileid}": ${known.message}`, { cause: known });
    }
  };
}
