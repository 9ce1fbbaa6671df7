// The end of an upload in slices: all bytes have come, are read back as one file, and become an image of the bucket. Whatever
// an earlier attempt has done, or lived to say, it comes to the same.
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

/** As small images are stored best. */
const IN_MEMORY_BYTES = 262_144;
const READ_BYTES = 262_144;
/** What cannot become an image of this upload ends it; a store that fails does not. */
const FINAL_CODES: readonly ErrorCode[] = [
  "upload_exists",
  "upload_not_image",
  "upload_size",
  "slices_hash_wrong",
  "upload_id_unknown",
];

/** Throws the codes of FINAL, store_full, store_failed, render_overloaded, render_failed. The caller is alone with the upload. */
export async function finishSlices(upload: SliceUpload, parts: FinishParts): Promise<Stored> {
  try {
    return (await findStored(upload, parts)) ?? (await storeNow(upload, parts));
  } catch (error) {
    if (error instanceof HuiyuanError && FINAL_CODES.includes(error.code)) await upload.discard();
    throw error;
  }
}

/** The last slice comes again, or a crash came before the answer: the business server is told again too. */
async function findStored(upload: SliceUpload, { target, makeOutboxDraft }: FinishParts): Promise<Stored | undefined> {
  const { id, order, phase } = upload;
  if (phase === "arriving") return undefined;
  const entry = await target.bucket.lookup(order.fileid);
  // It may be there: nothing may be said, and nothing thrown away, before that is known.
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  if (entry.state !== "object" || entry.info.hashes.sha1 !== order.sha1) {
    if (phase === "storing") return undefined;
    throw unknownUpload(id); // It was deleted since.
  }
  if (phase === "storing") await markStored(upload);
  return { info: entry.info, outboxDraft: await makeOutboxDraft(order) };
}

async function storeNow(upload: SliceUpload, parts: FinishParts): Promise<Stored> {
  const { id, order, path } = upload;
  const { fileid, sha1, magicContext } = order;
  const received = await readBack(path, order);
  // A crash came while the bucket was taking it, on a file system without second names.
  if (received === undefined) throw unknownUpload(id);
  if (received.body.hashes.sha1 !== sha1) {
    const found = `its slices have the SHA-1 ${received.body.hashes.sha1}, announced was ${sha1}`;
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

/** The bucket takes the file away before it has the image. */
async function withLinkedBytes(received: Received, upload: SliceUpload): Promise<Received> {
  if (received.body.content.kind === "buffer") return received;
  return { ...received, body: { ...received.body, content: { kind: "file", path: await upload.linkBytes() } } };
}

/** The image is durable, whatever becomes of the note: without it the next attempt looks for itself. */
function markStored(upload: SliceUpload): Promise<void> {
  return upload.setPhase("stored").catch(() => undefined); // A full disk.
}

/** Undefined: the file is gone, or has another size. */
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
  return new HuiyuanError("upload_id_unknown", `Cannot go on with the upload "${id}": there is none such`);
}
