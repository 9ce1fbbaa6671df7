// Instant upload (秒传): if the bucket already has these bytes under another name, they are copied instead of sent again.
// The stored bytes are read and checked first.
import type { ObjectReader } from "../bucket/contract/driver.ts";
import { readWhole } from "../bucket/contract/read-whole.ts";
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
    const load = async () => {
      const chunks: Buffer[] = [];
      if (await isReadable(target, equal, (chunk) => void chunks.push(chunk)))
        return { kind: "buffer", buffer: Buffer.concat(chunks) } as const;
      throw new HuiyuanError("store_failed", `Cannot read "${equal.key}": it was deleted during the upload`);
    };
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

/** Reads all bytes. False if the object is gone or damaged. */
async function isReadable(target: UploadTarget, info: ObjectInfo, onChunk?: (chunk: Buffer) => void): Promise<boolean> {
  let reader: ObjectReader | undefined;
  try {
    reader = await target.bucket.open(info);
    if (reader === undefined) return false;
    await readWhole(reader, info.size, onChunk);
    return true;
  } catch (error) {
    const isNone = error instanceof HuiyuanError && ["store_corrupt", "original_replaced"].includes(error.code);
    if (isNone) return false;
    throw error;
  } finally {
    reader?.close();
  }
}
