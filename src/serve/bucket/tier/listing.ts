// Merges the listings and the usage of a bucket whose objects are in the remote store or pending on this disk.
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { compareUtf8 } from "../../../core/object.ts";
import type { BucketDriver, ListOptions, ListPage } from "../contract/driver.ts";
import type { FsBucket } from "../fs/bucket.ts";
import type { RemoteBucket } from "../remote/remote.ts";
import { rowsIn } from "./disk/disk-cache.ts";

/** Descriptions that are looked up at the same time. */
const AT_ONCE = 8;

/**
 * An object of another tool has no description and is left out, so a page may be shorter than its limit. A remote
 * listing has names only, so each object without a copy on this disk costs a request.
 */
export async function listMerged(options: ListOptions, remote: RemoteBucket, edge: FsBucket): Promise<ListPage> {
  const { limit } = options;
  const [remotePage, pendingPage] = await Promise.all([remote.list(options), edge.list(options, "pending")]);
  // If one page has a successor, the other's names behind its end wait for the next page.
  const ends = [
    remotePage.isEnd ? undefined : remotePage.names.at(-1)?.key,
    pendingPage.next === undefined ? undefined : pendingPage.objects.at(-1)?.key,
  ].filter((end) => end !== undefined);
  const isReached = (key: Key) => ends.every((end) => compareUtf8(key, end) <= 0);
  const found = new Map<Key, () => Promise<ObjectInfo | undefined>>();
  for (const { key, size, md5 } of remotePage.names) {
    found.set(key, async () => {
      const local = await edge.lookup(key);
      const isSame = local.state === "object" && local.info.size === size && local.info.hashes.md5 === md5;
      if (isSame && md5 !== undefined) return local.info;
      const entry = await remote.head(key);
      return entry.state === "object" ? entry.info : undefined;
    });
  }
  for (const info of pendingPage.objects) found.set(info.key, async () => info);
  const keys = [...found.keys()].filter(isReached).sort(compareUtf8);
  const page = keys.slice(0, limit);
  const objects: ObjectInfo[] = [];
  for (let start = 0; start < page.length; start += AT_ONCE) {
    const described = page.slice(start, start + AT_ONCE).map((key) => found.get(key)?.());
    for (const info of await Promise.all(described)) if (info !== undefined) objects.push(info);
  }
  const hasMore = keys.length > page.length || ends.length > 0;
  return { objects, next: hasMore ? page.at(-1) : undefined };
}

export async function usageMerged(remote: RemoteBucket, edge: FsBucket): ReturnType<BucketDriver["usage"]> {
  let [objects, bytes] = [0, 0];
  for await (const { size } of namesIn(remote, edge)) {
    objects += 1;
    bytes += size;
  }
  return { objects, bytes };
}

export async function queryKeysMerged(remote: RemoteBucket, edge: FsBucket): Promise<number> {
  let count = 0;
  for await (const { key } of namesIn(remote, edge)) if (key.includes("?")) count += 1;
  return count;
}

/** The remote store keeps no totals, so this reads its whole listing, 1,000 names a request. */
async function* namesIn(remote: RemoteBucket, edge: FsBucket) {
  // Kept, because a pending object may be uploaded before its name is listed: 100,000 at most.
  const pending = new Set<string>();
  for await (const row of rowsIn(edge, "pending")) {
    pending.add(row.key);
    yield row;
  }
  for (let after: Key | undefined, isEnd = false; !isEnd; ) {
    const page = await remote.list({ prefix: "", after, limit: 1_000 });
    for (const name of page.names) if (!pending.has(name.key)) yield name;
    after = page.names.at(-1)?.key;
    isEnd = page.isEnd || after === undefined;
  }
}
