// Other clouds as origins, through the whole program: a private bucket on a real Ceph RGW, and a stand-in for Qiniu
// that checks every token. An image that was fetched once is served after the cloud has lost it.
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, type CephRgw, sharedRgw, startGateway } from "../helpers/ceph.ts";
import { type GetResult, get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { type QiniuStandIn, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { needs } from "../helpers/services.ts";
import { APPID, oneBucket, KEYS as SIGNING_KEYS } from "../helpers/settings.ts";

const KEYS: readonly string[] = [
  "a.jpg",
  "2015/风景/图 片.jpg",
  "a+b%20c&d=e;f,g.jpg",
  "//double//slash.jpg",
  "/leading.jpg",
  "~!'()*@:$.jpg",
  "\u00e9.jpg", // NFC
  "e\u0301.jpg", // NFD, another name
  "😀.jpg",
  "question?hash#.jpg",
];

/** Retries until the bucket serves the object, and returns that response. */
async function untilStored(program: Program, key: string): Promise<GetResult> {
  let answer = await get({ port: program.downloadPort, path: pathOf(key) });
  await eventually(async () => {
    answer = await get({ port: program.downloadPort, path: pathOf(key) });
    return /hit; detail=(memory|bucket)/.test(String(answer.headers["cache-status"]));
  }, `${key} is stored`);
  return answer;
}

/** A mirror of each origin, below a host of its own. They share a breaker, which their failures must not open. */
const variantsOf = (origins: Readonly<Record<string, object>>) => {
  const breaker = { failures: 10_000, within: "1s", open: "1s" };
  const domains = Object.entries(origins).map(([host, origin]) => ({
    host,
    mirror: { origins: [origin], negativeTtl: "0s", breaker },
  }));
  return { projects: [{ appid: APPID, keys: [SIGNING_KEYS[0]], buckets: [{ name: "photos", domains }] }] };
};

const errNo = ({ status, headers }: GetResult) => [status, headers["x-errno"]];

describe("a private bucket on Ceph RGW as origin", needs("ceph"), () => {
  const bucket = `origin-${randomBytes(4).toString("hex")}`;
  let rgw: CephRgw;
  let s3: PlainS3;
  let jpeg: Buffer;
  let installation: Installation;
  let program: Program;

  const originOf = (more: object) => ({
    type: "s3",
    preset: "ceph",
    endpoint: rgw.url,
    bucket,
    accessKeyId: rgw.accessKeyId,
    secretAccessKey: "env:RGW_SECRET",
    prefix: "pictures/",
    allowPrivate: true,
    ...more,
  });
  const start = async (origin: object) => {
    const made = await install(oneBucket({ origins: [origin], negativeTtl: "0s" }, {}, {}));
    return { made, running: await made.start({ env: { RGW_SECRET: rgw.secretAccessKey } }) };
  };

  beforeAll(async () => {
    rgw = await sharedRgw();
    s3 = plainS3(rgw);
    await s3.makeBucket(bucket);
    jpeg = await noisyJpeg(320, 240);
    const { made, running } = await start(originOf({}));
    [installation, program] = [made, running];
  }, CEPH_START_MS);
  afterAll(async () => {
    await program?.stop();
    await installation?.remove();
  });

  test.each(KEYS)("%j is fetched, stored, and served after the origin has lost it", async (key) => {
    const picture = Buffer.concat([jpeg, Buffer.from(key)]);
    await s3.put(bucket, `pictures/${key}`, picture);
    const first = await get({ port: program.downloadPort, path: pathOf(key) });
    expect([first.status, first.isWhole, first.body.equals(picture)]).toEqual([200, true, true]);
    expect(first.headers["cache-status"]).toMatch(/fwd=uri-miss/);
    await untilStored(program, key);
    await s3.remove(bucket, `pictures/${key}`);
    const later = await get({ port: program.downloadPort, path: pathOf(key) });
    expect([later.status, later.body.equals(picture)]).toEqual([200, true]);
  });

  test("a missing key gets 404, with GET and with HEAD", async () => {
    const path = "/missing.jpg";
    expect(errNo(await get({ port: program.downloadPort, path }))).toEqual([404, "-6101"]);
    expect(errNo(await get({ port: program.downloadPort, path, method: "HEAD" }))).toEqual([404, "-6101"]);
  });

  test("an object that was uploaded compressed is stored as the image, and its ETag is the MD5 of the coded bytes", async () => {
    await s3.put(bucket, "pictures/coded.jpg", gzipSync(jpeg), { "content-encoding": "gzip" });
    expect((await s3.get(bucket, "pictures/coded.jpg"))?.headers["content-encoding"]).toBe("gzip");
    expect((await get({ port: program.downloadPort, path: "/coded.jpg" })).body).toEqual(jpeg);
    expect((await untilStored(program, "coded.jpg")).body).toEqual(jpeg);
  });

  test("HEAD of an object returns its size and stores nothing", async () => {
    await s3.put(bucket, "pictures/head.jpg", jpeg);
    const answer = await get({ port: program.downloadPort, path: "/head.jpg", method: "HEAD" });
    expect([answer.status, answer.headers["content-length"]]).toEqual([200, String(jpeg.length)]);
    const next = await get({ port: program.downloadPort, path: "/head.jpg" });
    expect(next.headers["cache-status"]).toMatch(/fwd=uri-miss/);
  });

  describe("with other settings", () => {
    let made: Installation;
    let running: Program;

    beforeAll(async () => {
      const origins = {
        "no-bucket.test": originOf({ bucket: "no-such-bucket-at-all" }),
        "wrong-secret.test": originOf({ secretAccessKey: "wrong" }),
        "no-keys.test": originOf({ accessKeyId: undefined, secretAccessKey: undefined }),
      };
      made = await install(variantsOf(origins));
      running = await made.start({ env: { RGW_SECRET: rgw.secretAccessKey } });
    });
    afterAll(async () => {
      await running?.stop();
      await made?.remove();
    });

    test.each([
      ["a bucket that does not exist", "no-bucket.test"],
      ["a wrong secret", "wrong-secret.test"],
      ["no keys for a private bucket", "no-keys.test"],
    ])("%s gets 424 -120, never 404, with GET and with HEAD, and no secret is logged", async (_what, host) => {
      for (const method of ["GET", "HEAD"]) {
        const answer = await get({ port: running.downloadPort, host, path: `/${host}.jpg`, method });
        expect(errNo(answer)).toEqual([424, "-120"]);
      }
      expect(running.output).not.toMatch(/testsecret|Signature=/);
    });

    test("a public object needs no keys", async () => {
      await s3.put(bucket, "pictures/public.jpg", jpeg, { "x-amz-acl": "public-read" });
      const answer = await get({ port: running.downloadPort, host: "no-keys.test", path: "/public.jpg" });
      expect([answer.status, answer.body.equals(jpeg)]).toEqual([200, true]);
    });
  });

  test("while the origin is down, stored images are served, a miss gets 424 -902, and fetches resume once it is back", async () => {
    const gateway = await startGateway();
    await s3.put(bucket, "pictures/kept.jpg", jpeg);
    await s3.put(bucket, "pictures/later.jpg", jpeg);
    const { made, running } = await start(originOf({ endpoint: gateway.url }));
    try {
      await untilStored(running, "kept.jpg");
      await gateway.stop();
      const kept = await get({ port: running.downloadPort, path: "/kept.jpg" });
      expect([kept.status, kept.body.equals(jpeg)]).toEqual([200, true]);
      expect(errNo(await get({ port: running.downloadPort, path: "/later.jpg" }))).toEqual([424, "-902"]);
      await gateway.start();
      // A failure is cached for half a second at most.
      await eventually(async () => {
        const { status } = await get({ port: running.downloadPort, path: "/later.jpg" });
        return status === 200;
      }, "the origin is used again");
    } finally {
      await running.stop();
      await made.remove();
      await gateway.stop();
    }
  });
});

describe("a private bucket of Qiniu as origin", () => {
  const keys = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
  const objects = new Map<string, Uint8Array>();
  let jpeg: Buffer;
  let qiniu: QiniuStandIn;
  let installation: Installation;
  let program: Program;

  const originOf = (change: object) => ({
    type: "qiniu",
    domain: qiniu.url,
    private: true,
    accessKey: keys.accessKey,
    secretKey: "env:QINIU_SECRET",
    referer: "http://www.example.com/",
    allowPrivate: true,
    ...change,
  });
  const env = { QINIU_SECRET: keys.secretKey };

  beforeAll(async () => {
    jpeg = await noisyJpeg(320, 240);
    qiniu = await startQiniuStandIn({ objects, keys, referer: "http://www.example.com/" });
    const mirror = { origins: [originOf({})], negativeTtl: "0s" };
    installation = await install(oneBucket(mirror, {}, { server: { accessLog: "all" } }));
    program = await installation.start({ env });
  });
  afterAll(async () => {
    await program?.stop();
    await qiniu?.close();
    await installation?.remove();
  });

  test.each(KEYS)("%j is fetched once with a valid token, and stored under its key", async (key) => {
    const picture = Buffer.concat([jpeg, Buffer.from(key)]);
    objects.set(key, picture);
    const first = await get({ port: program.downloadPort, path: pathOf(key) });
    expect([first.status, first.isWhole, first.body.equals(picture)]).toEqual([200, true, true]);
    await untilStored(program, key);
    objects.delete(key);
    const later = await get({ port: program.downloadPort, path: pathOf(key) });
    expect([later.status, later.body.equals(picture)]).toEqual([200, true]);
    const asked = qiniu.requests.filter((request) => request.key === key);
    expect(asked.map(({ method, status }) => [method, status])).toEqual([["GET", 200]]);
    const life = (asked[0]?.deadline ?? 0) - Date.now() / 1_000;
    expect(life).toBeGreaterThan(3_500);
    expect(life).toBeLessThanOrEqual(3_600);
  });

  test("a missing key gets 404", async () => {
    expect(errNo(await get({ port: program.downloadPort, path: "/missing.jpg" }))).toEqual([404, "-6101"]);
  });

  describe("with other settings", () => {
    let made: Installation;
    let running: Program;

    beforeAll(async () => {
      const origins = {
        "wrong-secret.test": originOf({ secretKey: "wrong" }),
        "wrong-access-key.test": originOf({ accessKey: "another" }),
        "no-token.test": originOf({ private: false }),
        "wrong-referer.test": originOf({ referer: "http://evil.example/" }),
      };
      made = await install(variantsOf(origins));
      running = await made.start({ env });
    });
    afterAll(async () => {
      await running?.stop();
      await made?.remove();
    });

    test.each([
      ["a wrong secret", "wrong-secret.test", 401],
      ["a wrong access key", "wrong-access-key.test", 401],
      ["no token", "no-token.test", 401],
      ["a wrong Referer", "wrong-referer.test", 403],
    ])("%s gets 424 -120", async (_what, host, status) => {
      const key = `${host}.jpg`;
      objects.set(key, jpeg);
      expect(errNo(await get({ port: running.downloadPort, host, path: `/${key}` }))).toEqual([424, "-120"]);
      expect(qiniu.requests.at(-1)).toMatchObject({ key, status });
    });
  });

  test("neither the log nor a response ever contains a token", async () => {
    objects.set("logged.jpg", jpeg);
    const answer = await get({ port: program.downloadPort, path: "/logged.jpg" });
    expect(JSON.stringify(answer.headers)).not.toMatch(/token|QINIU/);
    await eventually(() => program.output.includes("logged.jpg"), "the request is in the log");
    expect(program.output).not.toMatch(/token=|QINIU_/);
  });
});
