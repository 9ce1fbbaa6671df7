// Checks the real test services themselves, so that a broken service is not mistaken for a bug of the program.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, type CephRgw, type Gateway, sharedRgw, startGateway } from "../helpers/ceph.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { needs } from "../helpers/services.ts";

describe("Ceph RGW and the plain S3 client", needs("ceph"), () => {
  const bucket = `plain-${randomBytes(4).toString("hex")}`;
  let rgw: CephRgw;
  let s3: PlainS3;
  let gateway: Gateway | undefined;

  beforeAll(async () => {
    rgw = await sharedRgw();
    s3 = plainS3(rgw);
    await s3.makeBucket(bucket);
  }, CEPH_START_MS);
  afterAll(() => gateway?.stop());

  test.each([
    "a.jpg",
    "回源/图 片.jpg",
    "a+b%20c&d=e?f#g.jpg",
    "//double//slash/",
    "~!'()*@,;:$.jpg",
    '<xml>&amp;".jpg',
  ])("the client puts, lists, gets and removes %j", async (key) => {
    const body = randomBytes(1_000);
    await s3.put(bucket, key, body, { "content-type": "image/jpeg", "x-amz-meta-note": "here" });
    expect(await s3.list(bucket)).toEqual([key]);
    const answer = await s3.get(bucket, key);
    expect(answer?.body.equals(body)).toBe(true);
    expect(answer?.headers).toMatchObject({ "content-type": "image/jpeg", "x-amz-meta-note": "here" });
    await s3.remove(bucket, key);
    expect(await s3.get(bucket, key)).toBeUndefined();
  });

  test("the store refuses a wrong secret", async () => {
    const stranger = plainS3({ ...rgw, secretAccessKey: "wrong" });
    expect((await stranger.send("GET", bucket, "a.jpg")).status).toBe(403);
  });

  test("all gateways share one store, and each can stop and start", async () => {
    gateway = await startGateway();
    const second = plainS3(gateway);
    await s3.put(bucket, "shared.jpg", Buffer.from("one"));
    expect((await second.get(bucket, "shared.jpg"))?.body.toString()).toBe("one");
    await gateway.stop();
    await expect(second.get(bucket, "shared.jpg")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await gateway.start();
    expect((await second.get(bucket, "shared.jpg"))?.body.toString()).toBe("one");
  }, 60_000);
});
