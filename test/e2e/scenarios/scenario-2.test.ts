// scenario-2.md step by step against a real nginx, which serves its own host name only. Its access log shows the
// requests, and the catalogue the objects.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noisyJpeg } from "../../helpers/images.ts";
import { type OwnSite, startOwnSite } from "../../helpers/own-site.ts";
import { eventually } from "../../helpers/program.ts";
import { guideYaml, type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { needs } from "../../helpers/services.ts";

const DEFAULT_DOMAIN = "photos-10001234.image.example.com";
const DOMAIN = "img.example.com";
const ENV = { HUIYUAN_SECRET_KEY: "huiyuan-secret" };

describe("scenario 2 with nginx as the own site", needs("nginx"), () => {
  let original: Buffer;
  let small: Buffer;
  let site: OwnSite;
  let run: ScenarioRun;

  beforeAll(async () => {
    [original, small] = [await noisyJpeg(320, 240), await noisyJpeg(40, 30)];
    site = await startOwnSite(DOMAIN);
    for (const path of ["pic_key", "a.jpg", "风景 1.jpg", "later.jpg", "q?mark.jpg"]) await site.put(path, original);
    await site.put("small.jpg", small);
    run = await startScenario(await scenarioSettings(2, { "http://src-img.example.com": site.url }), { env: ENV });
  });
  afterAll(async () => {
    await run?.close();
    await site?.close();
  });

  const pictureAt = async (host: string, path: string) => {
    const { status, body } = await run.get(host, path);
    return status === 200 ? (body.equals(original) ? "original" : body.equals(small) ? "small" : "other") : status;
  };

  test("before the switch: each URL of the default domain is fetched once, and stored with its query", async () => {
    const requests = await site.asked(2, async () => {
      expect(await pictureAt(DEFAULT_DOMAIN, "/pic_key?size=small&b=xxx")).toBe("small");
      await run.holds("photos", ["pic_key?size=small&b=xxx"]);
      expect(await pictureAt(DEFAULT_DOMAIN, "/pic_key")).toBe("original");
      await run.holds("photos", ["pic_key", "pic_key?size=small&b=xxx"]);
      for (const path of ["/pic_key?size=small&b=xxx", "/pic_key"]) {
        expect((await run.get(DEFAULT_DOMAIN, path)).headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
      }
    });
    expect(requests).toEqual(["GET /pic_key?size=small&b=xxx", "GET /pic_key"]);
  });

  test("after the switch: images that the default domain has stored cause no request", async () => {
    const requests = await site.asked(0, async () => {
      expect(await pictureAt(DOMAIN, "/pic_key?size=small&b=xxx")).toBe("small");
      expect(await pictureAt(DOMAIN, "/pic_key")).toBe("original");
    });
    expect(requests).toEqual([]);
  });

  test("the key is the URL unchanged, with parameters in order and spelling, instructions and aliases, but without sign", async () => {
    const before = run.keys("photos");
    const paths = [
      "/a.jpg?a=1&b=2",
      "/a.jpg?b=2&a=1",
      "/a.jpg?imageView2/1/w/100",
      "/q%3Fmark.jpg",
      "/q%3Fmark.jpg?v=1",
    ];
    const requests = await site.asked(6, async () => {
      for (const path of paths) expect(await pictureAt(DOMAIN, path)).toBe("original");
      expect(await pictureAt(DOMAIN, "/%E9%A3%8E%E6%99%AF%201.jpg?sign=abc")).toBe("original");
      await run.holds(
        "photos",
        [
          ...before,
          "a.jpg?a=1&b=2",
          "a.jpg?b=2&a=1",
          "a.jpg?imageView2/1/w/100",
          "q%3Fmark.jpg",
          "q%3Fmark.jpg?v=1",
          "风景 1.jpg",
        ].sort(),
      );
      expect((await run.get(DOMAIN, "/a.jpg?a=1&b=2&sign=other")).headers["cache-status"]).toMatch(/hit/);
    });
    expect(requests).toEqual([...paths, "/%E9%A3%8E%E6%99%AF%201.jpg"].map((path) => `GET ${path}`));
  });

  test("HEAD is passed on and stores nothing, and a missing image gets 404", async () => {
    const before = run.keys("photos");
    const requests = await site.asked(2, async () => {
      const head = await run.get(DOMAIN, "/later.jpg", { method: "HEAD" });
      expect([head.status, head.headers["content-length"]]).toEqual([200, String(original.length)]);
      expect(await pictureAt(DOMAIN, "/missing.jpg?size=1")).toBe(404);
    });
    expect(requests).toEqual(["HEAD /later.jpg", "GET /missing.jpg?size=1"]);
    expect(run.keys("photos")).toEqual(before);
  });

  test("the site receives read requests only", async () => {
    expect(new Set((await site.requests()).map((line) => line.split(" ")[0]))).toEqual(new Set(["GET", "HEAD"]));
  });

  test("the doctor finds nothing wrong with the site", async () => {
    const ended = await run.command("doctor", site.url, "a.jpg", "--json");
    const { findings } = JSON.parse(ended.out) as { findings: { severity: string }[] };
    expect(findings.filter(({ severity }) => severity === "problem")).toEqual([]);
    expect(ended.code).toBe(0);
  });

  test("with keyQuery as the guide says, only its parameters are sent and belong to the key", async () => {
    const settings = await scenarioSettings(2, { "http://src-img.example.com": site.url });
    const keyQuery = (await guideYaml(2, 3, {})) as object;
    for (const domain of domainsOf(settings)) Object.assign(domain.mirror, keyQuery);
    const other = await startScenario(settings, { env: ENV });
    try {
      const requests = await site.asked(1, async () => {
        expect((await other.get(DOMAIN, "/a.jpg?width=200&v=7")).body).toEqual(original);
        await other.holds("photos", ["a.jpg?width=200"]);
        expect((await other.get(DOMAIN, "/a.jpg?v=8&width=200")).headers["cache-status"]).toMatch(/hit/);
      });
      expect(requests).toEqual(["GET /a.jpg?width=200"]);
    } finally {
      await other.close();
    }
  });

  test("once all images are fetched ahead, the mirror needs no site", async () => {
    const settings = await scenarioSettings(2, { "http://src-img.example.com": site.url });
    const other = await startScenario(settings, { env: ENV });
    try {
      const list = join(other.installation.folder, "urls.txt");
      await writeFile(list, `https://${DOMAIN}/a.jpg?size=small\nhttps://${DOMAIN}/a.jpg\n`);
      const admin = `http://127.0.0.1:${other.program.adminPort}`;
      expect((await other.command("warm", list, "--rate", "20", "--admin", admin)).code).toBe(0);
      await other.holds("photos", ["a.jpg", "a.jpg?size=small"]);
      const rule = (await guideYaml(2, 2, {})) as object;
      for (const domain of domainsOf(settings)) Object.assign(domain.mirror, rule);
      await other.reconfigure(settings);
      const head = () => other.get(DOMAIN, "/later.jpg", { method: "HEAD" });
      await eventually(async () => (await head()).status === 404, "misses are 404");
      const requests = await site.asked(0, async () => {
        expect((await other.get(DOMAIN, "/later.jpg")).status).toBe(404);
        expect((await other.get(DOMAIN, "/a.jpg?size=small")).body).toEqual(small);
        expect((await other.get(DOMAIN, "/a.jpg")).body).toEqual(original);
      });
      expect(requests).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test("an image that the site has deleted stays", async () => {
    await site.remove("pic_key");
    const requests = await site.asked(0, async () => expect(await pictureAt(DOMAIN, "/pic_key")).toBe("original"));
    expect(requests).toEqual([]);
  });

  test("with the site down and the server killed, each stored URL is served and other URLs do not get 404", async () => {
    await site.stop();
    await run.restart();
    expect(await pictureAt(DOMAIN, "/pic_key")).toBe("original");
    expect(await pictureAt(DOMAIN, "/pic_key?size=small&b=xxx")).toBe("small");
    expect(await pictureAt(DOMAIN, "/a.jpg?imageView2/1/w/100")).toBe("original");
    const never = await run.get(DOMAIN, "/pic_key?size=small&b=other");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });
});

interface Settings {
  readonly projects: readonly {
    readonly buckets: readonly { readonly domains: readonly { readonly mirror: object }[] }[];
  }[];
}

function domainsOf(settings: object) {
  return (settings as Settings).projects.flatMap(({ buckets }) => buckets.flatMap(({ domains }) => domains));
}
