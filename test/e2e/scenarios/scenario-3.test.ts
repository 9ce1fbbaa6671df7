// docs/scenario-3.md step by step: the history lies in a private bucket on a real Ceph RGW, where the file has OSS. Ceph's
// own log says what was asked.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, type Gateway, startGateway } from "../../helpers/ceph.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { type PlainS3, plainS3 } from "../../helpers/plain-s3.ts";
import { eventually } from "../../helpers/program.ts";
import { type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { serviceAvailable } from "../../helpers/services.ts";

const DEFAULT_DOMAIN = "photos-10001234.image.example.com";
const DOMAIN = "img.example.com";

describe.skipIf(!serviceAvailable("ceph"))("scenario 3 with Ceph RGW as the other cloud", () => {
  const bucket = `history-${randomBytes(4).toString("hex")}`;
  let original: Buffer;
  let rgw: Gateway;
  let history: PlainS3;
  let run: ScenarioRun;

  beforeAll(async () => {
    original = await noisyJpeg(320, 240);
    rgw = await startGateway();
    history = plainS3(rgw);
    await history.makeBucket(bucket);
    for (const key of ["2015/a.jpg", "2015/风景 1.jpg", "b.jpg", "c.jpg", "d.jpg!a=1"]) {
      await history.put(bucket, key, original);
    }
    const settings = await scenarioSettings(3, {
      oss: "ceph",
      "cn-hangzhou": rgw.region,
      "https://s3.oss-cn-hangzhou.aliyuncs.com": rgw.url,
      "example-pictures": bucket,
      OSS_ACCESS_KEY: rgw.accessKeyId,
    });
    run = await startScenario(settings, {
      env: { HUIYUAN_SECRET_KEY: "huiyuan-secret", OSS_SECRET_KEY: rgw.secretAccessKey },
    });
  }, CEPH_START_MS);
  afterAll(async () => {
    await run?.close();
    await rgw?.stop();
  });

  /** What the store is asked while `work` goes on; `count` requests are awaited. */
  async function asked(count: number, work: () => Promise<void>): Promise<readonly string[]> {
    const before = (await rgw.accessLog()).length;
    await work();
    await eventually(
      async () => (await rgw.accessLog()).length >= before + count,
      `the store was asked ${count} times`,
    );
    return (await rgw.accessLog()).slice(before);
  }
  const read = (path: string, status = 200) => `test GET /${bucket}/${path} ${status}`;

  test("before the switch: history comes by the default domain, signed, once, under its own keys", async () => {
    const requests = await asked(2, async () => {
      expect((await run.get(DEFAULT_DOMAIN, "/2015/a.jpg")).body).toEqual(original);
      expect((await run.get(DEFAULT_DOMAIN, "/2015/%E9%A3%8E%E6%99%AF%201.jpg")).body).toEqual(original);
      await run.holds("photos", ["2015/a.jpg", "2015/风景 1.jpg"]);
      expect((await run.get(DEFAULT_DOMAIN, "/2015/a.jpg")).headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
    });
    expect(requests).toEqual([read("2015/a.jpg"), read("2015/%E9%A3%8E%E6%99%AF%201.jpg")]);
  });

  test("after the switch: queries and processing never reach the store, an unknown suffix does", async () => {
    const requests = await asked(3, async () => {
      expect((await run.get(DOMAIN, "/b.jpg?Expires=1451491200&OSSAccessKeyId=AK&Signature=b2xk")).body).toEqual(
        original,
      );
      await run.get(DOMAIN, "/c.jpg!small");
      expect((await run.get(DOMAIN, "/d.jpg!a=1")).body).toEqual(original);
      await run.holds("photos", ["2015/a.jpg", "2015/风景 1.jpg", "b.jpg", "c.jpg", "d.jpg!a=1"]);
    });
    expect(requests).toEqual([read("b.jpg"), read("c.jpg"), read("d.jpg%21a%3D1")]);
  });

  test("what the store lacks is a 404, for a key that may list", async () => {
    const requests = await asked(1, async () => {
      const missing = await run.get(DOMAIN, "/missing.jpg");
      expect([missing.status, missing.headers["x-errno"]]).toEqual([404, "-6101"]);
    });
    expect(requests).toEqual([read("missing.jpg", 404)]);
  });

  test("the other cloud is only ever read", async () => {
    const ours = (await rgw.accessLog()).slice(6); // one bucket made and five objects put by this test
    expect(new Set(ours.map((line) => line.split(" ")[1]))).toEqual(new Set(["GET"]));
  });

  test("with the other cloud gone and the server killed, history that was asked for is served", async () => {
    await rgw.stop();
    await run.restart();
    for (const path of ["/2015/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg!a=1"]) {
      const answer = await run.get(DOMAIN, path);
      expect([path, answer.status, answer.body.equals(original)]).toEqual([path, 200, true]);
    }
    const never = await run.get(DOMAIN, "/never.jpg");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });
});
