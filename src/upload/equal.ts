// Instant upload (秒传): a bucket has these bytes already, under another name. They are read before they are believed.
import type { ObjectReader } from "../bucket/driver.ts";
import { readWhole } from "../bucket/read-whole.ts";
import { HuiyuanError } from "../errors.ts";
import type { ObjectInfo } from "../object.ts";
import { type AnnounceFile, exists, type Place, type Stored, storing, type UploadedFile } from "./store.ts";

/** Undefined: none of the bucket's own, or only a damaged one, which its reader has set aside. Throws upload_exists, store_failed. */
export async function storeEqual(
  place: Place,
  file: UploadedFile,
  announce: AnnounceFile,
): Promise<Stored | undefined> {
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
  let reader: ObjectReader | undefined;
  try {
    reader = await place.bucket.open(info);
    if (reader === undefined) return false;
    await readWhole(reader, info.size);
    return true;
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return false;
    throw error;
  } finally {
    reader?.close();
  }
}
