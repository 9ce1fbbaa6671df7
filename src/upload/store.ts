// Puts a received file into its bucket: never over another, never another than was declared, never what is no image.

import type { Bucket } from "../bucket/contract/bucket.ts";
import { describeObject, uploadedAt } from "../bucket/contract/bucket.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { Key, ObjectInfo } from "../core/object.ts";
import type { MakeOutboxDraft, OutboxDraft } from "./callback/callback.ts";
import type { FormFields } from "./form.ts";
import type { Received } from "./receive.ts";
import type { VerifyDecodable } from "./verify-decodable.ts";

/** Where uploads go: a bucket, and whatever must know of its changes. */
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
}

/** What a business server is told of a file, beside where it is. */
export interface UploadedFile {
  readonly fileid: Key;
  /** Lower-case hex. */
  readonly sha1: string;
  readonly size: number;
  readonly magicContext: string;
}

/** Called when nothing but the store can refuse the file any more. As Announce. */
export type MakeFileDraft = (file: UploadedFile) => ReturnType<MakeOutboxDraft>;

/** What is in the bucket now, and whoever is to be told. */
export interface Stored {
  readonly info: ObjectInfo;
  readonly outboxDraft: OutboxDraft | undefined;
}

/**
 * Durable when it resolves. Throws upload_size (no bytes), upload_md5_wrong, upload_sha1_wrong, upload_not_image,
 * upload_exists, store_full, store_failed, render_overloaded, render_failed.
 */
export async function storeUpload({
  target,
  fileid,
  received,
  fields,
  magicContext,
  verify,
  makeOutboxDraft,
  now,
}: StoreOptions): Promise<Stored> {
  const { body, image } = received;
  if (body.size === 0) throw new HuiyuanError("upload_size", `Cannot store "${fileid}": the file is empty`);
  if (differs(fields.md5, body.hashes.md5)) {
    throw new HuiyuanError("upload_md5_wrong", `Cannot store "${fileid}": its MD5 is ${body.hashes.md5}`);
  }
  if (differs(fields.sha, body.hashes.sha1)) {
    throw new HuiyuanError("upload_sha1_wrong", `Cannot store "${fileid}": its SHA-1 is ${body.hashes.sha1}`);
  }
  if (image === undefined) throw new HuiyuanError("upload_not_image", `Cannot store "${fileid}": it is no whole image`);
  await verify({ fileid, size: body.size, image, load: async () => body.content });
  const info = describeObject({ key: fileid, body, image, provenance: uploadedAt(now), now });
  const { size, hashes } = body;
  const outboxDraft = await makeOutboxDraft({ fileid, sha1: hashes.sha1 ?? "", size, magicContext });
  const result = await storeWithDraft(outboxDraft, () => target.put(info, body, { when: "vacant" }));
  if (result !== "stored") throw existsError(fileid);
  return { info, outboxDraft };
}

/** What `store` says, and the announcement taken back unless that is `stored`. */
export async function storeWithDraft<Result>(
  outboxDraft: OutboxDraft | undefined,
  store: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await store();
    if (result !== "stored") outboxDraft?.withdraw();
    return result;
  } catch (error) {
    // A write that failed may be there all the same.
    outboxDraft?.markUnknown();
    throw error;
  }
}

/**
 * Spares the client the way, where it is known already that the upload would be refused: a damaged object may be mended
 * by it. Throws upload_exists.
 */
export async function refuseExisting(target: UploadTarget, fileid: Key): Promise<void> {
  const entry = await target.bucket.lookup(fileid);
  if (entry.state === "object" && entry.info.isDamaged !== true) throw existsError(fileid);
}

export function existsError(fileid: Key): HuiyuanError {
  return new HuiyuanError("upload_exists", `Cannot store "${fileid}": there is an object of this name`);
}

/** An empty field declares nothing. */
function differs(declared: string | undefined, found: string | undefined): boolean {
  return declared !== undefined && declared !== "" && declared.trim().toLowerCase() !== found;
}
