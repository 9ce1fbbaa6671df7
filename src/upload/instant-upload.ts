// Instant upload (秒传): if the bucket already has these bytes under another name, they are copied instead of sent again.
// The stored bytes are read and checked first.

import { readWhole } from "../bucket/contract/bucket.ts";
import type { ObjectReader } from "../bucket/contract/driver.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { ObjectInfo } from "../core/object.ts";
import {
  existsError,
  type MakeFileDraft,
  type Stored,
  storeWithDraft,
  type UploadedFile,
  type UploadTarget,
  type VerifyDecodable,
} from "./store.ts";

/**
 * Undefined if the bucket has no such object, or only a damaged one; reading it has quarantined it. Throws
 * upload_exists, upload_not_image, render_overloaded, render_failed, store_failed.
 */
export async function instantUpload(
  target: UploadTarget,
  file: UploadedFile,
  { makeOutboxDraft, verify }: { readonly makeOutboxDraft: MakeFileDraft; readonly verify: VerifyDecodable },
): Promise<Stored | undefined> {
  const { sha1, size, fileid } = file;
  const equal = await target.bucket.findBySha1(sha1);
  if (equal === undefined || equal.size !== size || !(await isReadable(target, equal))) return undefined;
  // Uploads were decoded when they were stored; of fetched images only the structure was checked.
  if (equal.provenance.via !== "upload") {
    const load = async () => ({ kind: "buffer", buffer: await bytesOf(target, equal) }) as const;
    await verify({ fileid, size, image: equal.image, load });
  }
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

/** Throws store_failed, also if the object was deleted just now. */
async function bytesOf({ bucket }: UploadTarget, info: ObjectInfo): Promise<Buffer> {
  const reader = await bucket.open(info);
  if (reader === undefined)
    throw new HuiyuanError("store_failed", `Cannot read "${info.key}": it was deleted during the upload`);
  try {
    const chunks: Buffer[] = [];
    await readWhole(reader, info.size, (chunk) => void chunks.push(chunk));
    return Buffer.concat(chunks);
  } finally {
    reader.close();
  }
}

async function isReadable(target: UploadTarget, info: ObjectInfo): Promise<boolean> {
  let reader: ObjectReader | undefined;
  try {
    reader = await target.bucket.open(info);
    if (reader === undefined) return false;
    await readWhole(reader, info.size);
    return true;
  } catch (error) {
    const isNone = error instanceof HuiyuanError && ["store_corrupt", "original_replaced"].includes(error.code);
    if (isNone) return false;
    throw error;
  } finally {
    reader?.close();
  }
}
