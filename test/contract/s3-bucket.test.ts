// The contract of a bucket in a remote store on a real Ceph RGW, and what only S3 has. An independent client reads the
// stored objects.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/core/log.ts";
import { toKey } from "../../src/core/object.ts";
import type { RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { eventually } from "../helpers/program.ts";
import { bucketName, openTestS3 } from "../helpers/s3-store.ts";
import { needs } from "../helpers/services.ts";
import { infoOf, randomBytes, wholeBody } from "../helpers/whole-body.ts";
import { remoteBucketContract } from "./remote-bucket.ts";

describe("S3 on a real Ceph RGW", needs("ceph"), () => {
  const s3Bucket = bucketName();
  let rgw: CephRgw;
  let plain: PlainS3;
  let store: RemoteStore;

  beforeAll(async () => {
    rgw = await sharedRgw();
    plain = plainS3(rgw);
    await plain.makeBucket(s3Bucket);
    store = await openTestS3(rgw, { bucket: s3Bucket, prefix: "images/" });
    // On a busy machine the first answers may take so long that S3 counts as down for a moment.
    await eventually(() => !store.isDown, "S3 answers", CEPH_START_MS);
  }, CEPH_START_MS);
  afterAll(() => store?.close());

  remoteBucketContract("S3", async () => ({
    store,
    putForeign: (name, bytes) => plain.put(s3Bucket, name, bytes),
    close: async () => undefined,
  }));

  function putMirrored(bucketId: string, key: string, bytes: Buffer) {
    const body = wholeBody(bytes);
    const source = { ...body, read: async (start: number, end: number) => bytes.subarray(start, end + 1) };
    const options = { condition: { when: "absent" }, isStale: false } as const;
    return store.bucket(bucketId).put(infoOf(key, body), source, options);
  }

  test("put() stores an object of 80 MiB with one request", async () => {
    const bytes = randomBytes(83_886_080);
    expect(await putMirrored("10001234/tools", "big.jpg", bytes)).toBe(true);
    expect((await plain.get(s3Bucket, "images/10001234/tools/big.jpg"))?.body.equals(bytes)).toBe(true);
    expect(await putMirrored("10001234/tools", "big.jpg", randomBytes(10))).toBe(false);
  });

  test("put() stores the object under prefix, bucket and key with its media type, for any S3 tool", async () => {
    const bytes = randomBytes(10_000);
    await putMirrored("10001234/tools", "2015/海.jpg", bytes);
    const answer = await plain.get(s3Bucket, "images/10001234/tools/2015/海.jpg");
    expect(answer?.body.equals(bytes)).toBe(true);
    expect(answer?.headers).toMatchObject({ "content-type": "image/jpeg", "x-amz-meta-via": "mirror" });
  });

  test("put() over a version has one winner among racing writers, without a warning about conditions", async () => {
    const warned: string[] = [];
    const log = { ...SILENT_LOG, warn: (_fields: object, message: string) => void warned.push(message) };
    const other = await openTestS3(rgw, { bucket: s3Bucket, prefix: "images/", log });
    const key = toKey("raced.jpg");
    const id = "10001234/raced";
    try {
      for (let round = 0; round < 20; round += 1) {
        await putMirrored(id, key, randomBytes(100));
        const seen = await store.bucket(id).head(key);
        const condition = { when: "version", version: "version" in seen ? seen.version : "" } as const;
        const results = await Promise.all(
          Array.from({ length: 12 }, (_, writer) => {
            const bytes = randomBytes(100);
            const body = wholeBody(bytes);
            const source = { ...body, read: async (start: number, end: number) => bytes.subarray(start, end + 1) };
            const bucket = (writer % 2 === 0 ? store : other).bucket(id);
            return bucket.put(infoOf(key, body), source, { condition, isStale: false });
          }),
        );
        expect(results.filter(Boolean)).toHaveLength(1);
      }
    } finally {
      await other.close();
    }
    expect(warned).toEqual([]);
  });

  test("openS3Store() throws the error of S3 for wrong keys and for a missing bucket", async () => {
    const wrong = { ...rgw, secretAccessKey: "wrong" };
    await expect(openTestS3(wrong, { bucket: s3Bucket })).rejects.toThrow("403 SignatureDoesNotMatch");
    await expect(openTestS3(rgw, { bucket: bucketName() })).rejects.toThrow("404 NoSuchBucket");
  });
});
