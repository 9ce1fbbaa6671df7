// Opens tiered stores for the contract of bucket drivers: before a small S3 in this process, a real Ceph RGW, or a
// remote store in memory.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import type { BucketDriver, Store } from "../../src/serve/bucket/contract/driver.ts";
import type { FsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import type { RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { createMemoryRemote } from "../helpers/memory-remote.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually } from "../helpers/program.ts";
import { bucketName, openTestS3, type S3Place } from "../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { needs } from "../helpers/services.ts";
import { openTiered } from "../helpers/tiered-store.ts";
import { bucketDriverContract } from "./bucket-driver.ts";

/** The name has the prefix, a UUID, and the bucket before the key. */
const MAX_KEY_BYTES = 900;

interface S3Passes {
  /** False: each read fetches from S3. */
  readonly keepsCopies: boolean;
}

/** Runs the contract on a small S3 in this process, without copies. The lab runs it on a real S3, with and without. */
export function scriptedS3DriverContract(): void {
  let s3: ScriptedS3;
  beforeAll(async () => {
    s3 = await startScriptedS3();
  });
  afterAll(() => s3.close());
  const open = (dir: string, now: () => number) => openS3(s3, { bucket: "images", dir, now, keepsCopies: false });
  bucketDriverContract(nameOf("a scripted S3", false), open, { isRemote: true, maxKeyBytes: MAX_KEY_BYTES });
}

/** Runs the contract on a remote store in memory, without copies. */
export function memoryRemoteDriverContract(): void {
  const open = (dir: string, now: () => number) =>
    openSettled(dir, createMemoryRemote().store(), { now, keepsCopies: false });
  bucketDriverContract(nameOf("a remote store in memory", false), open, { isRemote: true, maxKeyBytes: MAX_KEY_BYTES });
}

/** Runs the contract on a real Ceph RGW. */
export function cephDriverContract({ keepsCopies }: S3Passes): void {
  describe("on a real Ceph RGW", needs("ceph"), () => {
    const bucket = bucketName();
    let rgw: CephRgw;
    beforeAll(async () => {
      rgw = await sharedRgw();
      await plainS3(rgw).makeBucket(bucket);
    }, CEPH_START_MS);
    bucketDriverContract(nameOf("S3", keepsCopies), (dir, now) => openS3(rgw, { bucket, dir, now, keepsCopies }), {
      isRemote: !keepsCopies,
      maxKeyBytes: MAX_KEY_BYTES,
    });
  });
}

function nameOf(store: string, keepsCopies: boolean): string {
  return keepsCopies ? `${store}, with copies on the disk,` : `${store}, with no copy left,`;
}

interface OpenS3Options extends S3Passes {
  readonly bucket: string;
  readonly dir: string;
  readonly now: () => number;
}

async function openS3(place: S3Place, { bucket, dir, now, keepsCopies }: OpenS3Options): Promise<Store> {
  const remote = await openTestS3(place, { bucket, prefix: `${randomUUID()}/` });
  return openSettled(dir, remote, { now, keepsCopies });
}

/** Each change waits until it is in the remote store, so that the tests see a settled store. */
async function openSettled(
  dir: string,
  remote: RemoteStore,
  { now, keepsCopies }: Pick<OpenS3Options, "now" | "keepsCopies">,
): Promise<Store> {
  const { store, near, disk } = await openTiered(dir, remote, { now });
  const changesEnd = async () => {
    await store.uploads.idle();
    if (keepsCopies) return;
    disk.resize(0);
    await eventually(async () => (await Promise.all(copiesIn(near))).every((objects) => objects === 0), "no copies");
    disk.resize(1_000_000_000);
  };
  return { ...store, bucket: waitingForChanges(store, changesEnd) };
}

/** The number of copies in each bucket. */
function copiesIn(near: FsStore): Promise<number>[] {
  const ids = near.listBuckets().filter((id) => id.startsWith("edge/"));
  return ids.map((id) =>
    near
      .bucket(id)
      .usage()
      .then(({ objects }) => objects),
  );
}

/** Wraps the store's buckets so that each change waits for `changesEnd`. */
function waitingForChanges(store: Store, changesEnd: () => Promise<void>): Store["bucket"] {
  const known = new Map<string, BucketDriver>();
  return (id) => {
    const bucket = known.get(id) ?? { ...store.bucket(id) };
    if (!known.has(id)) {
      for (const name of ["put", "copy", "delete", "undelete", "renew", "purge"] as const) {
        const change = bucket[name] as (...given: unknown[]) => Promise<unknown>;
        const changeAndWait = async (...given: unknown[]) => {
          const result = await change(...given);
          await changesEnd();
          return result;
        };
        Object.assign(bucket, { [name]: changeAndWait });
      }
      known.set(id, bucket);
    }
    return bucket;
  };
}
