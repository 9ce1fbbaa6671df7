// scenario-3.md step by step: the old images are in a private bucket on a real Ceph RGW, where the file has OSS.
// Ceph's own log shows the requests.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BusinessServer, startBusinessServer } from "../../helpers/business-server.ts";
import { CEPH_START_MS, type Gateway, startGateway } from "../../helpers/ceph.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { loadedHuiyuan } from "../../helpers/loaded-program.ts";
import { type PlainS3, plainS3 } from "../../helpers/plain-s3.ts";
import { eventually } from "../../helpers/program.ts";
import { guideYaml, type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { needs } from "../../helpers/services.ts";

const DEFAULT_DOMAIN = "photos-10001234.image.example.com";
const DOMAIN = "img.example.com";
const CALLBACK_SECRET = "the secret of the callback";

describe("scenario 3 with Ceph RGW as the other cloud", needs("ceph"), () => {
  const bucket = `history-${randomBytes(4).toString("hex")}`;
  let original: Buffer;
  let rgw: Gateway;
  let history: PlainS3;
  let run: ScenarioRun;
  let uploaded: Buffer;
  let business: BusinessServer;

  beforeAll(async () => {
    [original, uploaded] = [await noisyJpeg(320, 240), await noisyJpeg(160, 120)];
    business = await startBusinessServer(CALLBACK_SECRET);
    rgw = await startGateway();
    history = plainS3(rgw);
    await history.makeBucket(bucket);
    for (const key of ["2015/a.jpg", "2015/风景 1.jpg", "b.jpg", "c.jpg", "d.jpg!a=1", "e.jpg", "f.jpg"]) {
      await history.put(bucket, key, original);
    }
    const settings = await scenarioSettings(3, {
      oss: "ceph",
      "cn-hangzhou": rgw.region,
      "https://s3.oss-cn-hangzhou.aliyuncs.com": rgw.url,
      "example-pictures": bucket,
      OSS_ACCESS_KEY: rgw.accessKeyId,
    });
    run = await startScenario(await withCallback(settings), {
      env: {
        HUIYUAN_SECRET_KEY: "huiyuan-secret",
        OSS_SECRET_KEY: rgw.secretAccessKey,
        CALLBACK_SECRET,
      },
    });
  }, CEPH_START_MS);

  /** Step 6: the callback of the guide, added to the bucket. */
  async function withCallback(settings: object): Promise<object> {
    const { callback } = (await guideYaml(3, 1, { "https://app.example.com/uploaded": business.url })) as {
      readonly callback: object;
    };
    const [project] = (settings as { readonly projects: readonly { readonly buckets: readonly object[] }[] }).projects;
    const [photos] = project?.buckets ?? [];
    return { ...settings, projects: [{ ...project, buckets: [{ ...photos, callback }] }] };
  }

  afterAll(async () => {
    await run?.close();
    await rgw?.stop();
    await business?.close();
  });

  /** The requests to the store during `work`; waits for `count` of them. */
  async function requestsDuring(count: number, work: () => Promise<void>): Promise<readonly string[]> {
    const before = (await rgw.accessLog()).length;
    await work();
    await eventually(
      async () => (await rgw.accessLog()).length >= before + count,
      `the store has got ${count} requests`,
    );
    return (await rgw.accessLog()).slice(before);
  }
  const read = (path: string, status = 200) => `test GET /${bucket}/${path} ${status}`;

  test("before the switch: the default domain fetches old images once, signed, under their own keys", async () => {
    const requests = await requestsDuring(2, async () => {
      expect((await run.get(DEFAULT_DOMAIN, "/2015/a.jpg")).body).toEqual(original);
      expect((await run.get(DEFAULT_DOMAIN, "/2015/%E9%A3%8E%E6%99%AF%201.jpg")).body).toEqual(original);
      await run.holds("photos", ["2015/a.jpg", "2015/风景 1.jpg"]);
      expect((await run.get(DEFAULT_DOMAIN, "/2015/a.jpg")).headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
    });
    expect(requests).toEqual([read("2015/a.jpg"), read("2015/%E9%A3%8E%E6%99%AF%201.jpg")]);
  });

  test("after the switch: queries and processing never reach the store, an unknown suffix does", async () => {
    const requests = await requestsDuring(3, async () => {
      expect((await run.get(DOMAIN, "/b.jpg?Expires=1451491200&OSSAccessKeyId=AK&Signature=b2xk")).body).toEqual(
        original,
      );
      await run.get(DOMAIN, "/c.jpg!small");
      expect((await run.get(DOMAIN, "/d.jpg!a=1")).body).toEqual(original);
      await run.holds("photos", ["2015/a.jpg", "2015/风景 1.jpg", "b.jpg", "c.jpg", "d.jpg!a=1"]);
    });
    expect(requests).toEqual([read("b.jpg"), read("c.jpg"), read("d.jpg%21a%3D1")]);
  });

  test("an image that the store lacks gets 404, if the access key may list", async () => {
    const requests = await requestsDuring(1, async () => {
      const missing = await run.get(DOMAIN, "/missing.jpg");
      expect([missing.status, missing.headers["x-errno"]]).toEqual([404, "-6101"]);
    });
    expect(requests).toEqual([read("missing.jpg", 404)]);
  });

  test("the doctor finds nothing wrong with the vendor, as the settings name it", async () => {
    const ended = await run.command(
      "doctor",
      `${rgw.url}/${rgw.region}/${bucket}`,
      "2015/a.jpg",
      "2015/风景 1.jpg",
      "--json",
    );
    const { findings } = JSON.parse(ended.out) as { findings: { id: string; severity: string }[] };
    expect(findings.filter(({ severity }) => severity === "problem")).toEqual([]);
    expect(findings.filter(({ id }) => id === "image" || id === "names").map(({ severity }) => severity)).toEqual([
      "good",
      "good",
      "good",
    ]);
    expect([ended.code, ended.out.includes(rgw.secretAccessKey)]).toEqual([0, false]);
  });

  test("an upload is served at once under both domains, also processed, without a request to the store", async () => {
    const requests = await requestsDuring(0, async () => {
      const { code, data } = await run.upload("photos", "2016/new.jpg", uploaded);
      expect([code, data.download_url]).toEqual([0, expect.stringContaining("2016/new.jpg")]);
      for (const host of [DEFAULT_DOMAIN, DOMAIN]) {
        const answer = await run.get(host, "/2016/new.jpg");
        expect([answer.body.equals(uploaded), answer.headers["cache-status"]]).toEqual([
          true,
          expect.stringMatching(/; hit/),
        ]);
        expect((await run.get(host, "/2016/new.jpg!small")).status).toBe(200);
      }
    });
    expect(requests).toEqual([]);
  });

  test("an upload notifies the business server, and the uploader gets its answer", async () => {
    const { code, data } = await run.upload("photos", "2016/told.jpg", uploaded);
    expect([code, data.callback]).toEqual([0, { noted: true }]);
    expect(business.told.at(-1)).toMatchObject({ bucket: "photos", fileid: "2016/told.jpg", size: uploaded.length });
  });

  test("an upload under a name that the store has wins before that is fetched, and is refused afterwards", async () => {
    const requests = await requestsDuring(0, async () => {
      expect((await run.upload("photos", "e.jpg", uploaded)).code).toBe(0);
      expect((await run.get(DOMAIN, "/e.jpg")).body).toEqual(uploaded);
      expect((await run.upload("photos", "b.jpg", uploaded)).code).toBe(-1886);
    });
    expect(requests).toEqual([]);
  });

  test("a deleted image, uploaded or old, stays deleted until it is undeleted or uploaded again", async () => {
    const requests = await requestsDuring(1, async () => {
      for (const fileid of ["2016/told.jpg", "b.jpg", "f.jpg", "e.jpg"]) {
        expect([fileid, (await run.delete("photos", fileid)).code]).toEqual([fileid, 0]);
        expect([fileid, (await run.get(DOMAIN, `/${fileid}`)).status]).toEqual([fileid, 404]);
      }
      await run.restart();
      for (const fileid of ["2016/told.jpg", "b.jpg", "f.jpg", "e.jpg"])
        expect([fileid, (await run.get(DOMAIN, `/${fileid}`)).status]).toEqual([fileid, 404]);
      expect((await run.upload("photos", "b.jpg", uploaded)).code).toBe(0);
      expect((await run.get(DOMAIN, "/b.jpg")).body).toEqual(uploaded);
      expect(
        (
          await loadedHuiyuan([
            "undelete",
            `http://${DOMAIN}/f.jpg`,
            "--admin",
            `http://127.0.0.1:${run.program.adminPort}`,
          ])
        ).code,
      ).toBe(0);
      expect((await run.get(DOMAIN, "/f.jpg")).body).toEqual(original);
    });
    expect(requests).toEqual([read("f.jpg")]);
  });

  test("the other cloud receives read requests only", async () => {
    // Without the bucket and the seven objects that this test has created.
    const ours = (await rgw.accessLog()).slice(8);
    expect(new Set(ours.map((line) => line.split(" ")[1]))).toEqual(new Set(["GET", "HEAD"]));
  });

  test("with the other cloud down and the server killed, old images that were requested before are served", async () => {
    await rgw.stop();
    await run.restart();
    for (const path of ["/2015/a.jpg", "/c.jpg", "/d.jpg!a=1", "/f.jpg"]) {
      const answer = await run.get(DOMAIN, path);
      expect([path, answer.status, answer.body.equals(original)]).toEqual([path, 200, true]);
    }
    for (const path of ["/2016/new.jpg", "/b.jpg"]) expect((await run.get(DOMAIN, path)).body).toEqual(uploaded);
    expect((await run.get(DOMAIN, "/2016/told.jpg")).status).toBe(404);
    expect((await run.upload("photos", "2016/later.jpg", uploaded)).code).toBe(0);
    const never = await run.get(DOMAIN, "/never.jpg");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });
});
