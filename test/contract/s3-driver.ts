// Opens the S3 store on a real Ceph RGW for the contract of bucket drivers.
import { randomUUID } from "node:crypto";
import { beforeAll, describe } from "vitest";
import type { BucketDriver, Store } from "../../src/bucket/contract/driver.ts";
import type { FsStore } from "../../src/bucket/fs/store.ts";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually } from "../helpers/program.ts";
import { bucketName, openTestS3 } from "../helpers/s3-store.ts";
import { needs } from "../helpers/services.ts";
import { openTiered } from "../helpers/tiered-store.ts";
import { bucketDriverContract } from "./bucket-driver.ts";

/** Runs the contract on S3. `keepsCopies` false: each read fetches from S3. */
export function s3DriverContract(name: string, { keepsCopies }: { readonly keepsCopies: boolean }): void {
  describe("on a real Ceph RGW", needs("ceph"), () => {
    const s3Bucket = bucketName();
    let rgw: CephRgw;
    beforeAll(async () => {
      rgw = await sharedRgw();
      await plainS3(rgw).makeBucket(s3Bucket);
    }, CEPH_START_MS);

    /** Waits until every change is in S3, so that the tests see a settled store. */
    const openS3 = async (dir: string, now: () => number): Promise<Store> => {
      const remote = await openTestS3(rgw, { bucket: s3Bucket, prefix: `${randomUUID()}/` });
      const { store, near, disk } = await openTiered(dir, remote, { now });
      const changesEnd = async () => {
        await store.uploads.idle();
        if (keepsCopies) return;
        disk.resize(0);
        await eventually(
          async () => (await Promise.all(copiesIn(near))).every((objects) => objects === 0),
          "no copies",
        );
        disk.resize(1_000_000_000);
      };
      return { ...store, bucket: waitingForChanges(store, changesEnd) };
    };
    bucketDriverContract(name, openS3, { isRemote: !keepsCopies });
  });
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
