// scenario-1.md step by step: a stand-in for Qiniu that checks every token, and a real Ceph RGW where the guide
// names another store. The origin's own log shows the requests.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, sharedRgw } from "../../helpers/ceph.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { plainS3 } from "../../helpers/plain-s3.ts";
import { eventually } from "../../helpers/program.ts";
import { type QiniuStandIn, startQiniuStandIn } from "../../helpers/qiniu-stand-in.ts";
import { guideYaml, type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { needs } from "../../helpers/services.ts";

const DEFAULT_DOMAIN = "photos-10001234.image.example.com";
const DOMAIN = "img.example.com";
const SMALL = "imageView2/2/w/200/h/200";
const ENV = { HUIYUAN_SECRET_KEY: "huiyuan-secret", QINIU_SECRET_KEY: "qiniu-secret", OSS_SECRET_KEY: "" };

let original: Buffer;
let thumb: Buffer;
beforeAll(async () => {
  [original, thumb] = [await noisyJpeg(320, 240), await noisyJpeg(40, 30)];
});

describe("scenario 1 with a private bucket of Qiniu", () => {
  const keys = { accessKey: "QINIU_ACCESS_KEY", secretKey: ENV.QINIU_SECRET_KEY };
  const objects = new Map<string, Uint8Array>();
  let qiniu: QiniuStandIn;
  let run: ScenarioRun;

  beforeAll(async () => {
    for (const key of ["a.jpg", "b.jpg", "c.jpg!a=1", "d.jpg", "e.jpg", "2015/风景 1.jpg"]) objects.set(key, original);
    qiniu = await startQiniuStandIn({ objects, keys });
    run = await startScenario(await scenarioSettings(1, { "http://qiniu-origin.example.com": qiniu.url }), {
      env: ENV,
    });
  });
  afterAll(async () => {
    await run?.close();
    await qiniu?.close();
  });

  /** The requests to Qiniu during `work`, as `GET key?query`. */
  async function requestsDuring(work: () => Promise<void>): Promise<readonly string[]> {
    const before = qiniu.requests.length;
    await work();
    return qiniu.requests
      .slice(before)
      .map(({ method, key, query, status }) => `${method} ${key}${query === "" ? "" : `?${query}`} ${status}`);
  }

  test("before the switch: the default domain fetches once, with a valid token, and stores", async () => {
    const requests = await requestsDuring(async () => {
      const first = await run.get(DEFAULT_DOMAIN, "/a.jpg");
      expect([first.status, first.body.equals(original), first.headers["content-type"]]).toEqual([
        200,
        true,
        "image/jpeg",
      ]);
      expect(first.headers["cache-status"]).toMatch(/^huiyuan; fwd=uri-miss/);
      await run.holds("photos", ["a.jpg"]);
      const second = await run.get(DEFAULT_DOMAIN, "/a.jpg");
      expect([second.status, second.body.equals(original)]).toEqual([200, true]);
      expect(second.headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
    });
    expect(requests).toEqual(["GET a.jpg 200"]);
  });

  test("after the switch: both domains serve the objects that either has stored", async () => {
    const requests = await requestsDuring(async () => {
      expect((await run.get(DOMAIN, "/a.jpg")).body).toEqual(original);
      expect((await run.get(DOMAIN, "/2015/%E9%A3%8E%E6%99%AF%201.jpg")).body).toEqual(original);
      await run.holds("photos", ["2015/风景 1.jpg", "a.jpg"]);
    });
    expect(requests).toEqual(["GET 2015/风景 1.jpg 200"]);
  });

  test("the key: parameters and old signed links are dropped, and an unknown suffix is kept", async () => {
    const requests = await requestsDuring(async () => {
      expect((await run.get(DOMAIN, "/b.jpg?e=1451491200&token=AK:b2xk")).body).toEqual(original);
      await run.holds("photos", ["2015/风景 1.jpg", "a.jpg", "b.jpg"]);
      expect((await run.get(DOMAIN, "/b.jpg?v=2")).headers["cache-status"]).toMatch(/hit/);
      expect((await run.get(DOMAIN, "/c.jpg!a=1?sign=x")).body).toEqual(original);
      await run.holds("photos", ["2015/风景 1.jpg", "a.jpg", "b.jpg", "c.jpg!a=1"]);
    });
    expect(requests).toEqual(["GET b.jpg 200", "GET c.jpg!a=1 200"]);
  });

  test("an alias and a processed URL each fetch the original once, and nothing else is stored", async () => {
    const requests = await requestsDuring(async () => {
      await run.get(DOMAIN, "/d.jpg!small");
      await run.get(DOMAIN, `/e.jpg?${SMALL}`);
      await eventually(() => run.keys("photos").includes("e.jpg"), "the originals are stored");
      await run.get(DOMAIN, `/d.jpg?${SMALL}`);
      await run.get(DOMAIN, "/e.jpg!small");
    });
    expect(requests).toEqual(["GET d.jpg 200", "GET e.jpg 200"]);
    await run.holds("photos", ["2015/风景 1.jpg", "a.jpg", "b.jpg", "c.jpg!a=1", "d.jpg", "e.jpg"]);
  });

  test("a domain without a mirror never fetches, and neither does an unknown host", async () => {
    const requests = await requestsDuring(async () => {
      const unknown = await run.get("other.example.com", "/unknown.jpg");
      expect([unknown.status, unknown.headers["x-errno"]]).toEqual([404, "-104"]);
    });
    expect(requests).toEqual([]);
  });

  test("an image that Qiniu lacks gets 404, and is not stored", async () => {
    const missing = await run.get(DOMAIN, "/missing.jpg");
    expect([missing.status, missing.headers["x-errno"]]).toEqual([404, "-6101"]);
    expect(run.keys("photos")).not.toContain("missing.jpg");
  });

  test("Qiniu receives read requests only", () => {
    expect(new Set(qiniu.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
  });

  test("the doctor finds nothing wrong with Qiniu, as the settings name it", async () => {
    const ended = await run.command("doctor", qiniu.url, "a.jpg", "2015/风景 1.jpg", "--json");
    const { findings } = JSON.parse(ended.out) as { findings: { severity: string }[] };
    expect(findings.filter(({ severity }) => severity === "problem")).toEqual([]);
    expect([ended.code, ended.out.includes(ENV.QINIU_SECRET_KEY)]).toEqual([0, false]);
  });

  test("with Qiniu down and the server killed, stored images are served and other images do not get 404", async () => {
    await qiniu.close();
    await run.restart();
    for (const path of ["/a.jpg", "/2015/%E9%A3%8E%E6%99%AF%201.jpg", "/b.jpg?v=3", "/d.jpg"]) {
      const answer = await run.get(DOMAIN, path);
      expect([path, answer.status, answer.body.equals(original)]).toEqual([path, 200, true]);
    }
    const never = await run.get(DOMAIN, "/never-asked.jpg");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });

  test("without the mirror, stored images are served and other images get 404", async () => {
    const settings = await scenarioSettings(1, {});
    for (const domain of domainsOf(settings)) delete domain.mirror;
    await run.reconfigure(settings);
    await eventually(async () => (await run.get(DOMAIN, "/never-asked.jpg")).status === 404, "the mirror is gone");
    expect((await run.get(DOMAIN, "/b.jpg?v=4")).body).toEqual(original);
    expect((await run.get(DOMAIN, "/d.jpg!small")).status).toBe(200);
  });
});

test("scenario 1, protected images: downloads need a URL that `huiyuan sign` has signed", async () => {
  const keys = { accessKey: "QINIU_ACCESS_KEY", secretKey: ENV.QINIU_SECRET_KEY };
  const qiniu = await startQiniuStandIn({ objects: new Map([["a.jpg", original]]), keys });
  const settings = await scenarioSettings(1, { "http://qiniu-origin.example.com": qiniu.url });
  const [project] = (settings as WithBuckets).projects;
  Object.assign(project?.buckets[0] ?? {}, await guideYaml(1, 1, {}));
  const run = await startScenario(settings, { env: ENV });
  try {
    const unsigned = await run.get(DOMAIN, "/a.jpg?e=1451491200&token=AK:b2xk");
    expect([unsigned.status, unsigned.headers["x-errno"]]).toEqual([403, "-46618"]);
    const { pathname, search } = new URL((await run.command("sign", "download", "a.jpg")).out.trim());
    expect((await run.get(DOMAIN, pathname + search)).body).toEqual(original);
  } finally {
    await run.close();
    await qiniu.close();
  }
});

test("scenario 1, Qiniu answers the first request for a processed image: two requests, the original is stored", async () => {
  const objects = new Map<string, Uint8Array>([
    ["a.jpg", original],
    [`a.jpg?${SMALL}`, thumb],
    ["b.jpg", original],
    ["b.jpg!small", thumb],
  ]);
  const keys = { accessKey: "QINIU_ACCESS_KEY", secretKey: ENV.QINIU_SECRET_KEY };
  const qiniu = await startQiniuStandIn({ objects, keys });
  const settings = await scenarioSettings(1, { "http://qiniu-origin.example.com": qiniu.url, local: "origin" });
  const run = await startScenario(settings, { env: ENV });
  try {
    expect((await run.get(DOMAIN, `/a.jpg?${SMALL}`)).body).toEqual(thumb);
    await run.holds("photos", ["a.jpg"]);
    expect((await run.get(DOMAIN, "/b.jpg!small")).body).toEqual(thumb);
    await run.holds("photos", ["a.jpg", "b.jpg"]);
    expect(qiniu.requests.map(({ key, query, status }) => [key, query, status])).toEqual([
      ["a.jpg", SMALL, 200],
      ["a.jpg", "", 200],
      ["b.jpg!small", "", 200],
      ["b.jpg", "", 200],
    ]);
    expect((await run.get(DOMAIN, "/a.jpg")).body).toEqual(original);
  } finally {
    await run.close();
    await qiniu.close();
  }
});

describe("scenario 1 with another store, as its guide says", needs("ceph"), () => {
  test(
    "the guide's origin is fetched from, and its images are served once it is down",
    async () => {
      const rgw = await sharedRgw();
      const s3 = plainS3(rgw);
      const bucket = `scenario-${randomBytes(4).toString("hex")}`;
      await s3.makeBucket(bucket);
      await s3.put(bucket, "2015/a.jpg", original);
      const origin = await guideYaml(1, 2, {
        oss: "ceph",
        "https://s3.oss-cn-hangzhou.aliyuncs.com": rgw.url,
        "cn-hangzhou": rgw.region,
        "example-pictures": bucket,
        OSS_ACCESS_KEY: rgw.accessKeyId,
      });
      const settings = await scenarioSettings(1, {});
      for (const { mirror } of domainsOf(settings)) if (mirror !== undefined) mirror.origins = [origin];
      const run = await startScenario(settings, { env: { ...ENV, OSS_SECRET_KEY: rgw.secretAccessKey } });
      try {
        expect((await run.get(DOMAIN, "/2015/a.jpg?x=1")).body).toEqual(original);
        await run.holds("photos", ["2015/a.jpg"]);
        await s3.remove(bucket, "2015/a.jpg");
        await run.restart();
        expect((await run.get(DOMAIN, "/2015/a.jpg")).body).toEqual(original);
      } finally {
        await run.close();
      }
    },
    CEPH_START_MS,
  );
});

interface WithBuckets {
  readonly projects: readonly { readonly buckets: readonly object[] }[];
}
interface WithMirrors {
  readonly projects: readonly { readonly buckets: readonly { readonly domains: readonly Mirrored[] }[] }[];
}
interface Mirrored {
  mirror?: { origins: unknown };
}

function domainsOf(settings: object): readonly Mirrored[] {
  return (settings as WithMirrors).projects.flatMap(({ buckets }) => buckets.flatMap(({ domains }) => domains));
}
