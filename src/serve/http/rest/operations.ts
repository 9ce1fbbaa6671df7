// Stat, copy and delete of an image that is stored, or that only the origin has. post.ts tells them from uploads.
import { randomUUID } from "node:crypto";
import { asHuiyuanError, type ErrorCode, errorRow, HuiyuanError, isServerFailure } from "../../../core/errors.ts";
import { type Key, type ObjectInfo, toKey } from "../../../core/object.ts";
import { bucketOf, type Call, linksOf } from "./call.ts";
import { readFileid, statFileids } from "./fileid.ts";
import { useImage } from "./history.ts";
import type { ManagedBucket } from "./project.ts";
import { type ApiAnswer, copyData, statData, success } from "./rest-answer.ts";
import { authenticate, authorizeOnce } from "./sign.ts";
import type { Operation } from "./target.ts";

/** Needs no signature; one that is sent only shows how the client spells names. Throws not_found. */
export async function stat(call: Call): Promise<ApiAnswer> {
  call.about.name = "stat";
  const fileids = statFileids(call.target.rest, call.bound);
  call.about.fileid = fileids[0];
  const bucket = bucketOf(call);
  for (const key of await storedFirst(bucket, fileids)) {
    const found = await useImage(bucket, key, { signal: call.signal, use: (info) => describe(bucket, info, call) });
    if (found === undefined) continue;
    call.about.fileid = key;
    return success(statData(found.info, linksOf(call, bucket, key), found.md5));
  }
  throw missing(fileids[0]);
}

/** The first fileid that is stored, else all of them: a stored image is preferred to one that an origin may have. */
async function storedFirst({ stored }: ManagedBucket, fileids: readonly Key[]): Promise<readonly Key[]> {
  if (fileids.length === 1) return fileids;
  for (const key of fileids) {
    const entry = await stored.bucket.lookup(key);
    if (entry.state === "object") return [key];
  }
  return fileids;
}

/** Undefined: the object was found damaged, purged or deleted since its look-up. */
async function describe({ stored }: ManagedBucket, info: ObjectInfo, { parts }: Call) {
  if (info.isDamaged === true) {
    throw new HuiyuanError("store_corrupt", `Cannot describe "${info.key}": its bytes are damaged`);
  }
  const md5 = await parts.md5.of(stored.bucket, info);
  return md5 === undefined ? undefined : { info, md5 };
}

/** `source`: the raw fileid. The signature is spent after all checks have passed, even if the operation fails. */
export async function operate(
  call: Call,
  { operation, source }: { readonly operation: Operation; readonly source: string },
): Promise<ApiAnswer> {
  const { parts } = call;
  call.about.name = operation;
  const fileid = readFileid(source, call.bound);
  call.about.fileid = fileid;
  const token = authenticate(call.sign, parts.tokens);
  const signed = { ...call, now: Math.floor(parts.now() / 1_000) };
  const spend = authorizeOnce(token, signed, { operation, fileid, once: parts.once });
  const bucket = bucketOf(call);
  const [run, failed] = operation === "copy" ? ([copy, "copy_failed"] as const) : ([remove, "delete_failed"] as const);
  return translating(failed, async () => {
    await spend();
    return run(call, bucket, fileid);
  });
}

async function copy(call: Call, bucket: ManagedBucket, fileid: Key): Promise<ApiAnswer> {
  const target = toKey(randomUUID());
  const result = await useImage(bucket, fileid, {
    signal: call.signal,
    use: () => bucket.stored.copy(fileid, target, { when: "vacant" }),
  });
  if (result === undefined) throw missing(fileid);
  if (result !== "stored") throw new HuiyuanError("copy_failed", `Cannot copy "${fileid}": "${target}" exists already`);
  call.parts.stored?.(bucket, target);
  return success(copyData(target, linksOf(call, bucket, target)));
}

/** Also deletes an image that only the origin has: the tombstone keeps it from being fetched. */
async function remove(_call: Call, { stored, mirrored }: ManagedBucket, fileid: Key): Promise<ApiAnswer> {
  const entry = await stored.bucket.lookup(fileid);
  const isKnownAbsent = entry.state === "absent" && entry.failure === undefined;
  if (entry.state === "tombstone" || (isKnownAbsent && mirrored === undefined)) throw missing(fileid);
  const wasThere = await stored.delete(fileid, "deleted through the REST API");
  // A concurrent delete was faster, or the store answers again and does not have it.
  if (!wasThere && (entry.state === "object" || mirrored === undefined)) throw missing(fileid);
  return success({});
}

function missing(fileid: Key | undefined): HuiyuanError {
  return new HuiyuanError("not_found", `Cannot find "${fileid}": there is no such image`);
}

/** Replaces failures of this server by the operation's own code, unless the REST API has a number for them. */
async function translating<Result>(code: ErrorCode, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    const known = asHuiyuanError(error);
    throw isServerFailure(known) && errorRow(known.code).rest === undefined
      ? new HuiyuanError(code, known.message, { cause: known })
      : known;
  }
}
