// Finishes an upload in slices: reads all received bytes back as one file and stores it as an image of the bucket. It
// may be repeated after a crash or a lost response, with the same result.
import { createReadStream } from "node:fs";
import { createGate } from "../../body/gate/gate.ts";
import { createBodyHasher } from "../../body/spool/hashing.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Received } from "../receive.ts";
import { type MakeFileDraft, type Stored, storeUpload, type UploadTarget } from "../store.ts";
import type { VerifyDecodable } from "../verify-decodable.ts";
import type { SliceOrder } from "./slice-note.ts";
import type { SliceUpload } from "./slices.ts";

export interface FinishParts {
  readonly target: UploadTarget;
  readonly verify: VerifyDecodable;
  readonly makeOutboxDraft: MakeFileDraft;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Small images are stored from memory, which is faster. */
const IN_MEMORY_BYTES = 262_144;
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
 * Throws FINAL_CODES, store_full, store_failed, render_overloaded, render_failed. The caller runs it exclusively for
 * this upload.
 */
export async function finishSlices(upload: SliceUpload, parts: FinishParts): Promise<Stored> {
  try {
    return (await findStored(upload, parts)) ?? (await storeNow(upload, parts));
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
  // The file is gone after a crash while the bucket was storing it, on a file system without hard links.
  if (received === undefined) throw unknownUpload(id);
  if (received.body.hashes.sha1 !== sha1) {
    const found = `its slices have the SHA-1 ${received.body.hashes.sha1}, declared was ${sha1}`;
    throw new HuiyuanError("slices_hash_wrong", `Cannot store "${fileid}": ${found}`);
  }
  await upload.setPhase("storing");
  const stored = await storeUpload({
    ...parts,
    fileid,
    received: await withLinkedBytes(received, upload),
    fields: {},
    magicContext,
  });
  await markStored(upload);
  return stored;
}

/** Gives the bucket a hard link, because it renames the file away before the image is durable. */
async function withLinkedBytes(received: Received, upload: SliceUpload): Promise<Received> {
  if (received.body.content.kind === "buffer") return received;
  return { ...received, body: { ...received.body, content: { kind: "file", path: await upload.linkBytes() } } };
}

/** The image is durable even if the note cannot be written; the next attempt then looks it up. */
function markStored(upload: SliceUpload): Promise<void> {
  return upload.setPhase("stored").catch(() => undefined); // The disk may be full.
}

/** Undefined if the file is gone or has another size. */
async function readBack(path: string, order: SliceOrder): Promise<Received | undefined> {
  const gate = createGate();
  const hasher = createBodyHasher();
  const isSmall = order.size <= IN_MEMORY_BYTES;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>) {
      gate.push(chunk);
      hasher.update(chunk);
      size += chunk.byteLength;
      if (isSmall) chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new HuiyuanError("store_failed", `Cannot read "${path}"`, { cause: error });
  }
  if (size !== order.size) return undefined;
  const content = isSmall
    ? ({ kind: "buffer", buffer: Buffer.concat(chunks) } as const)
    : ({ kind: "file", path } as const);
  const verdict = gate.verdict({ framing: "chunked", isFramingWhole: true, isHashRight: true });
  return { body: { size, ...hasher.digest(), content }, image: verdict.kind === "whole" ? verdict.image : undefined };
}

export function unknownUpload(id: string): HuiyuanError {
  return new HuiyuanError("upload_id_unknown", `Cannot continue the upload "${id}": no such upload exists`);
}
