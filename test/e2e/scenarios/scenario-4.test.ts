// docs/scenario-4.md step by step: two buckets that never mix, history on a real nginx.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noisyJpeg } from "../../helpers/images.ts";
import { type OwnSite, startOwnSite } from "../../helpers/own-site.ts";
import { type ScenarioRun, scenarioSettings, startScenario } from "../../helpers/scenario.ts";
import { serviceAvailable } from "../../helpers/services.ts";

const OLD_DEFAULT = "old-10001234.image.example.com";
const OLD = "img.example.com";
const NEW_DEFAULT = "new-10001234.image.example.com";
const NEW = "img2.example.com";

describe.skipIf(!serviceAvailable("nginx"))("scenario 4 with nginx as the own site", () => {
  let original: Buffer;
  let small: Buffer;
  let site: OwnSite;
  let run: ScenarioRun;

  beforeAll(async () => {
    [original, small] = [await noisyJpeg(320, 240), await noisyJpeg(40, 30)];
    site = await startOwnSite(OLD);
    for (const path of ["a.jpg", "b.jpg"]) await site.put(path, original);
    await site.put("small.jpg", small);
    run = await startScenario(await scenarioSettings(4, { "http://src-img.example.com": site.url }), {
      env: { HUIYUAN_SECRET_KEY: "huiyuan-secret" },
    });
  });
  afterAll(async () => {
    await run?.close();
    await site?.close();
  });

  test("history: each URL of its domains is fetched once and stored with its query, in the bucket old", async () => {
    const requests = await site.asked(2, async () => {
      expect((await run.get(OLD_DEFAULT, "/a.jpg?size=small")).body).toEqual(small);
      expect((await run.get(OLD, "/a.jpg")).body).toEqual(original);
      await run.holds("old", ["a.jpg", "a.jpg?size=small"]);
      expect((await run.get(OLD, "/a.jpg?size=small")).headers["cache-status"]).toMatch(/^huiyuan; hit; detail=/);
    });
    expect(requests).toEqual(["GET /a.jpg?size=small", "GET /a.jpg"]);
  });

  test.each([NEW, NEW_DEFAULT])("%s never asks the site, and does not see the history", async (host) => {
    const requests = await site.asked(0, async () => {
      for (const path of ["/a.jpg", "/b.jpg", "/b.jpg?size=small", "/b.jpg!small", "/b.jpg?imageView2/1/w/10"]) {
        const answer = await run.get(host, path);
        expect([path, answer.status, answer.headers["x-errno"]]).toEqual([path, 404, "-6101"]);
      }
    });
    expect(requests).toEqual([]);
    expect(run.keys("new")).toEqual([]);
  });

  test("with the site dead and the server killed, history that was asked for is served", async () => {
    await site.stop();
    await run.restart();
    expect((await run.get(OLD, "/a.jpg")).body).toEqual(original);
    expect((await run.get(OLD, "/a.jpg?size=small")).body).toEqual(small);
    const never = await run.get(OLD, "/b.jpg");
    expect([never.status, never.headers["x-errno"]]).toEqual([424, "-902"]);
  });
});
