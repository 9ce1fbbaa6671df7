// Stat, copy and delete: what the API does with images that are there, or that only the origin has yet.
import { randomUUID } from "node:crypto";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../errors.ts";
import { type Key, toKey } from "../../object.ts";
import { type ApiAnswer, copyData, statData, success } from "./answer.ts";
import { bucketOf, type Call, linksOf, type PhotosParts } from "./call.ts";
import { readFileid, statFileids } from "./fileid.ts";
import { findOrFetch } from "./history.ts";
import type { ManagedBucket } from "./project.ts";
import { authenticate, authorizeOnce } from "./sign.ts";
import type { Operation } from "./target.ts";

/** For everybody: a signature that is sent is only asked how the client spells names. Throws not_found. */
export async function stat(call: Call, parts: PhotosParts): Promise<ApiAnswer> {
  call.about.name = "stat";
  const fileids = statFileids(call.target.rest, call.bound);
  call.about.fileid = fileids[0];
  const bucket = bucketOf(call);
  const info = await findAny(bucket, fileids, call.signal);
  if (info?.isDamaged === true) {
    throw new HuiyuanError("store_corrupt", `Cannot tell of "${info.key}": its bytes are damaged`);
  }
  // Damaged or deleted between look-up and reading.
  const md5 = info === undefined ? undefined : await parts.md5.of(bucket.stored.bucket, info);
  if (info === undefined || md5 === undefined) throw missing(fileids[0]);
  call.about.fileid = info.key;
  return success(statData(info, linksOf(call, bucket, info.key, parts), md5));
}

/** What is stored comes before what an origin may have. */
async function findAny(bucket: ManagedBucket, fileids: readonly Key[], signal: AbortSignal) {
  for (const key of fileids) {
    const entry = await bucket.stored.bucket.lookup(key);
    if (entry.state === "object") return entry.info;
  }
  for (const key of fileids) {
    const entry = await findOrFetch(bucket, key, signal);
    if (entry !== undefined) return entry.info;
  }
  return undefined;
}

/** `source`: the raw fileid. The signature is spent when all checks have passed, whatever comes of the operation. */
export async function operate(
  call: Call,
  { operation, source }: { readonly operation: Operation; readonly source: string },
  parts: PhotosParts,
): Promise<ApiAnswer> {
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
    return run(call, bucket, fileid, parts);
  });
}

async function copy(call: Call, bucket: ManagedBucket, fileid: Key, parts: PhotosParts): Promise<ApiAnswer> {
  if ((await findOrFetch(bucket, fileid, call.signal)) === undefined) throw missing(fileid);
  const target = toKey(randomUUID());
  const result = await bucket.stored.copy(fileid, target, { when: "vacant" });
  if (result === undefined) throw missing(fileid);
  if (result !== "stored") throw new HuiyuanError("copy_failed", `Cannot copy "${fileid}": "${target}" is taken`);
  parts.stored?.(bucket, target);
  return success(copyData(target, linksOf(call, bucket, target, parts)));
}

/** What only the origin has is deleted too: it must not come back. */
async function remove(_call: Call, { stored, mirrored }: ManagedBucket, fileid: Key): Promise<ApiAnswer> {
  const { state } = await stored.bucket.lookup(fileid);
  if (state === "tombstone" || (state === "absent" && mirrored === undefined)) throw missing(fileid);
  const wasThere = await stored.delete(fileid, "deleted through the REST API");
  // Another delete came in between.
  if (state === "object" && !wasThere) throw missing(fileid);
  return success({});
}

function missing(fileid: Key | undefined): HuiyuanError {
  return new HuiyuanError("not_found", `Cannot find "${fileid}": there is no such image`);
}

const STORE_FAULTS: readonly ErrorCode[] = ["store_failed", "store_full", "internal"];

/** A failing store has a code of its own for each operation. */
async function translating<Result>(code: ErrorCode, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    const known = asHuiyuanError(error);
    throw STORE_FAULTS.includes(known.code) ? new HuiyuanError(code, known.message, { cause: known }) : known;
  }
}
