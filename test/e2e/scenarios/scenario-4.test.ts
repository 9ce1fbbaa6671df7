// docs/start/scenario-4.md step by step: two separate buckets, and the old images on a real nginx.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BusinessServer, startBusinessServer } from "../../helpers/business-server.ts";
import { noisyJpeg } from "../../helpers/images.ts";
import { loadedHuiyuan } from "../../helpers/loaded-program.ts";
import { type OwnSite, startOwnSite } from "../../helpers/own-site.ts";
import { guideYaml, type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { needs } from "../../helpers/services.ts";

const OLD_DEFAULT = "old-10001234.image.example.com";
const OLD = "img.example.com";
const NEW_DEFAULT = "new-10001234.image.example.com";
const NEW = "img2.example.com";
const CALLBACK_SECRET = "the secret of the callback";

describe("scenario 4 with nginx as the own site", needs("nginx"), () => {
  let original: Buffer;
  let small: Buffer;
  let site: OwnSite;
  let run: ScenarioRun;
  let uploaded: Buffer;
  let business: BusinessServer;

  beforeAll(async () => {
    [original, small, uploaded] = [await noisyJpeg(320, 240), await noisyJpeg(40, 30), await noisyJpeg(300, 200)];
    business = await startBusinessServer(CALLBACK_SECRET);
    site = await startOwnSite(OLD);
    for (const path of ["a.jpg", "b.jpg"]) await site.put(path, original);
    await site.put("small.jpg", small);
    run = await startScenario(
      await withCallback(await scenarioSettings(4, { "http://src-img.example.com": site.url })),
      {
        env: { HUIYUAN_SECRET_KEY: "huiyuan-secret", CALLBACK_SECRET },
      },
    );
  });

  /** Step 6: the callback of the guide, added to the bucket `new`. */
  async function withCallback(settings: object): Promise<object> {
    const { callback } = (await guideYaml(4, 1, { "https://app.example.com/uploaded": business.url })) as {
      readonly callback: object;
    };
    const [project] = (settings as { readonly projects: readonly { readonly buckets: readonly object[] }[] }).projects;
    const [old, fresh] = project?.buckets ?? [];
    return { ...settings, projects: [{ ...project, buckets: [old, { ...fresh, callback }] }] };
  }

  afterAll(async () => {
    await run?.close();
    await site?.close();
    await business?.close();
  });

  test("each old URL is fetched once and stored with its query, in the bucket old", async () => {
    const requests = await site.asked(2, async () => {
      expect((await run.get(OLD_DEFAULT, "/a.jpg?size=small")).body).toEqual(small);
      expect((await run.get(OLD, "/a.jpg")).body).toEqual(original);
      await run.holds("old", ["a.jpg", "a.jpg?size=small"]);
      expect((await run.get(OLD, "/a.jpg?size=small")).headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
    });
    expect(requests).toEqual(["GET /a.jpg?size=small", "GET /a.jpg"]);
  });

  test.each([NEW, NEW_DEFAULT])("%s never sends a request to the site, and does not serve old images", async (host) => {
    const requests = await site.asked(0, async () => {
      for (const path of ["/a.jpg", "/b.jpg", "/b.jpg?size=small", "/b.jpg!small", "/b.jpg?imageView2/1/w/10"]) {
        const answer = await run.get(host, path);
        expect([path, answer.status, answer.headers["x-errno"]]).toEqual([path, 404, "-6101"]);
      }
    });
    expect(requests).toEqual([]);
    expect(run.keys("new")).toEqual([]);
  });

  test("the doctor finds nothing wrong with the site", async () => {
    const ended = await loadedHuiyuan(["doctor", site.url, "a.jpg", "--host", OLD, "--allow-private", "--json"]);
    expect(
      JSON.parse(ended.out).findings.filter(({ severity }: { severity: string }) => severity === "problem"),
    ).toEqual([]);
    expect(ended.code).toBe(0);
  });

  test("an upload into new is served by its domains, processed, and notified, without a request to the site", async () => {
    const requests = await site.asked(0, async () => {
      const { code, data } = await run.upload("new", "2016/new.jpg", uploaded);
      expect([code, data.callback]).toEqual([0, { noted: true }]);
      expect(business.told).toMatchObject([{ bucket: "new", fileid: "2016/new.jpg" }]);
      for (const host of [NEW, NEW_DEFAULT]) {
        expect((await run.get(host, "/2016/new.jpg")).body).toEqual(uploaded);
        const thumbnail = await run.get(host, "/2016/new.jpg!small");
        expect([thumbnail.status, thumbnail.body.equals(uploaded)]).toEqual([200, false]);
      }
    });
    expect(requests).toEqual([]);
    expect(run.keys("old").filter((key) => key.includes("new"))).toEqual([]);
  });

  test("the buckets stay separate: old accepts no uploads, and its domain does not serve images of new", async () => {
    expect((await run.upload("old", "2016/x.jpg", uploaded)).code).toBe(-75);
    const requests = await site.asked(1, async () => {
      expect((await run.get(OLD, "/2016/new.jpg")).status).toBe(404);
    });
    expect(requests).toEqual(["GET /2016/new.jpg"]);
  });

  test("a deleted image, uploaded or old, stays deleted", async () => {
    expect((await run.upload("new", "2016/gone.jpg", uploaded)).code).toBe(0);
    expect((await run.delete("new", "2016/gone.jpg")).code).toBe(0);
    expect((await run.delete("old", "b.jpg")).code).toBe(0);
    const requests = await site.asked(0, async () => {
      await run.restart();
      expect((await run.get(NEW, "/2016/gone.jpg")).status).toBe(404);
      expect((await run.get(OLD, "/b.jpg")).status).toBe(404);
      expect((await run.upload("new", "2016/gone.jpg", uploaded)).code).toBe(0);
      expect((await run.get(NEW, "/2016/gone.jpg")).body).toEqual(uploaded);
    });
    expect(requests).toEqual([]);
  });

  test("with the site down and the server killed, old images that were requested before are served", async () => {
    await site.stop();
    await run.restart();
    expect((await run.get(OLD, "/a.jpg")).body).toEqual(original);
    expect((await run.get(OLD, "/a.jpg?size=small")).body).toEqual(small);
    expect((await run.get(NEW, "/2016/new.jpg")).body).toEqual(uploaded);
    expect((await run.upload("new", "2016/later.jpg", uploaded)).code).toBe(0);
    const never = await run.get(OLD, "/c.jpg");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });
});
