// The store with the parts around it that write: recovery at the start, spool and write-back. It performs the crash
// lab's operations, in this process or in a child.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HuiyuanError } from "../../../src/core/errors.ts";
import { type Log, SILENT_LOG } from "../../../src/core/log.ts";
import { etagOf, toKey } from "../../../src/core/object.ts";
import { createSpoolPool } from "../../../src/serve/body/spool/spool-pool.ts";
import { createBucket } from "../../../src/serve/bucket/contract/bucket.ts";
import type { PutCondition } from "../../../src/serve/bucket/contract/driver.ts";
import { createFsStore, type FsStore } from "../../../src/serve/bucket/fs/fs-store.ts";
import { createDiskCache } from "../../../src/serve/bucket/tier/disk/disk-cache.ts";
import { createTieredStore } from "../../../src/serve/bucket/tier/tiered-store.ts";
import { createMemoryCache } from "../../../src/serve/mirror/stored/memory-cache.ts";
import { createStored, type Stored } from "../../../src/serve/mirror/stored/stored.ts";
import { adoptSpoolFiles } from "../../../src/serve/mirror/storing/adopt.ts";
import { createWriteBack } from "../../../src/serve/mirror/storing/write-back.ts";
import { bytesOfNumber } from "../../helpers/put-until-killed.ts";
import { openTestS3, type S3Place } from "../../helpers/s3-store.ts";
import { SILENT_METER } from "../../helpers/silent-meter.ts";
import { infoOf, readAll, wholeBody, wholeBodyInFile } from "../../helpers/whole-body.ts";
import { type Condition, numberOfBytes, type StoreOperation } from "./store-model.ts";

const BUCKET_ID = "1/b";
let lastFetch = 0;
/** Later than every mark of the run: a mark refuses what was fetched before it, and up to 5 s after it. */
function fetchedAt(): number {
  lastFetch = Math.max(lastFetch + 1, Date.now() + 60_000);
  return lastFetch;
}
/** An open store as in the program, after it has adopted the last run's pending files. */
export interface OpenStore {
  readonly store: Pick<FsStore, "spoolDir" | "sweep" | "scanOrphans" | "close">;
  readonly stored: Stored;
  /** Only with an S3 behind it. */
  readonly remote?: { readonly url: string; readonly idle: () => Promise<void> } | undefined;
}

/** A scripted S3, which may run in another process. */
export type S3Behind = S3Place & { readonly prefix: string };

/** A request under this name changes what the S3 of a test does: `control/hold`, `control/release`. */
export const CONTROL = "control/";

/**
 * Opens the store and waits for the end of the adoption. Unused blobs may be swept at once, because the clock advances
 * with each reading.
 */
export async function openStore(dir: string, behind?: S3Behind): Promise<OpenStore> {
  let looks = 0;
  const now = () => {
    looks += 1;
    return Date.now() + looks;
  };
  const near = await createFsStore({
    dir,
    now,
    log: SILENT_LOG,
    minFreeBytes: 0,
    graceMs: 0,
    sweepEveryMs: 0,
    packBytes: 1,
  });
  const tiered = behind === undefined ? undefined : await openBehind(near, behind, now);
  const store = { ...near, ...tiered?.store };
  try {
    const bucket = createBucket({ driver: store.bucket(BUCKET_ID), now, maxObjectBytes: 1_000_000 });
    const stored = createStored(BUCKET_ID, bucket, createMemoryCache({ maxBytes: 0, maxObjectBytes: 0 }));
    const storedOf = (id: string) => (id === BUCKET_ID ? stored : undefined);
    const writeBack = createWriteBack({ now, log: SILENT_LOG, meter: SILENT_METER });
    await adoptSpoolFiles({ dir: store.spoolDir, storedOf, writeBack });
    await writeBack.drain(60_000);
    return { store, stored, remote: tiered?.remote };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openBehind(near: FsStore, { prefix, ...place }: S3Behind, now: () => number) {
  const remote = await openTestS3(place, { bucket: "b", prefix });
  const spools = createSpoolPool({ dir: near.spoolDir, memoryBytes: 1_000_000, log: SILENT_LOG });
  const disk = createDiskCache({ embedded: near, maxBytes: 1_000_000_000, wasUsed: () => false, log: SILENT_LOG });
  const parts = { embedded: near, remote, disk, spools };
  const tier = createTieredStore({ ...parts, connections: 64, changed: () => {}, log: SILENT_LOG, now });
  const close = async () => {
    await tier.close();
    await spools.close();
    await disk.close();
    await near.close();
  };
  return { store: { bucket: tier.bucket, close }, remote: { url: place.url, idle: tier.uploads.idle } };
}

function conditionOf(condition: Condition): PutCondition {
  if (typeof condition === "object")
    return { when: "etag", etag: etagOf(wholeBody(bytesOfNumber(condition.over)).hashes) };
  return { when: condition };
}

async function fill({ store, stored }: OpenStore, key: string, number: number): Promise<true> {
  let failure: HuiyuanError | undefined;
  const log: Log = {
    ...SILENT_LOG,
    error(fields) {
      failure = (fields as { readonly err: HuiyuanError }).err; // write-back.ts logs this when it gives up
    },
  };
  const spools = createSpoolPool({ dir: store.spoolDir, memoryBytes: 0, perSpoolBytes: 0, log: SILENT_LOG });
  const spool = spools.open();
  spool.write(bytesOfNumber(number));
  const body = await spool.finish().catch((error: unknown) => {
    spool.release();
    throw error;
  });
  const { epoch } = await stored.bucket.lookup(toKey(key));
  const writeBack = createWriteBack({ now: Date.now, log, meter: SILENT_METER, retryMs: [] });
  await writeBack.store({ stored, info: infoOf(key, body, "mirror", fetchedAt()), body, spool, epoch });
  await spools.close();
  if (failure !== undefined) throw failure;
  return true;
}

/** Performs one operation on an open store. `newName` names spool files. */
export async function perform(
  open: OpenStore,
  operation: StoreOperation,
  newName: () => string,
): Promise<string | boolean | number | null> {
  const { store, stored, remote } = open;
  const { bucket } = stored;
  switch (operation.kind) {
    case "put": {
      const bytes = bytesOfNumber(operation.body);
      const path = join(store.spoolDir, newName());
      if (operation.form === "file") await writeFile(path, bytes);
      const body = operation.form === "file" ? wholeBodyInFile(bytes, path) : wholeBody(bytes);
      const info = infoOf(operation.key, body, operation.via, fetchedAt());
      const result = await bucket.put(info, body, conditionOf(operation.condition));
      // As the holder of a spool does, which only logs a failure: the next start removes the file.
      await rm(path, { force: true }).catch(() => {});
      return result;
    }
    case "fill":
      return fill(open, operation.key, operation.body);
    case "copy": {
      const { key, to, condition } = operation;
      return (await bucket.copy(toKey(key), toKey(to), conditionOf(condition))) ?? null;
    }
    case "delete":
      return bucket.delete(toKey(operation.key), "test");
    case "undelete":
      return bucket.undelete(toKey(operation.key));
    case "purge":
      return bucket.purge(toKey(operation.key), { hard: operation.hard });
    case "sweep":
      await store.sweep();
      return true;
    case "read": {
      const entry = await bucket.lookup(toKey(operation.key));
      if (entry.state !== "object") return null;
      return numberOfBytes(await readAll(await bucket.open(entry.info), entry.info.size));
    }
    case "hold":
    case "release":
      await fetch(`${remote?.url}/b/${CONTROL}${operation.kind}`, { method: "PUT" });
      return true;
    case "settle":
      await remote?.idle();
      return true;
    case "close":
      await store.close();
      return true;
    case "open":
      return true;
  }
}
