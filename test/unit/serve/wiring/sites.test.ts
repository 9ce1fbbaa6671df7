// Counts how often a bucket is looked at, because a clock would say nothing on a busy machine.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { toKey } from "../../../../src/core/object.ts";
import { createMetrics } from "../../../../src/operate/admin/metrics.ts";
import { openService } from "../../../../src/serve/wiring/service.ts";
import { parseSettings } from "../../../../src/settings/load.ts";
import type { Settings } from "../../../../src/settings/schema/schema.ts";
import { linesOf } from "../../../helpers/log-lines.ts";

const folder = mkdtempSync(join(tmpdir(), "huiyuan-sites-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Settings whose buckets count each look at their name. */
function counted(buckets: number): { readonly settings: Settings; readonly looks: () => number } {
  const text = JSON.stringify({
    data: join(folder, String(buckets)),
    projects: [
      {
        appid: "1",
        keys: [{ secretId: "A", secretKey: "B" }],
        buckets: Array.from({ length: buckets }, (_, index) => ({
          name: `b${index}`,
          domains: [{ host: `b${index}.example.com` }],
        })),
      },
    ],
  });
  const settings = parseSettings(text, { env: {}, readFile: () => "", file: "huiyuan.yaml" });
  let looks = 0;
  const projects = settings.projects.map((project) => ({
    ...project,
    buckets: project.buckets.map((bucket) => ({
      ...bucket,
      get name() {
        looks += 1;
        return bucket.name;
      },
    })),
  }));
  return { settings: { ...settings, projects }, looks: () => looks };
}

test("a service looks at each bucket as often with many buckets as with few, at its start and at a reload", async () => {
  const looksOf = async (buckets: number) => {
    const { settings, looks } = counted(buckets);
    const service = await openService({ settings, meters: createMetrics(), log: linesOf() });
    try {
      expect(service.registry.buckets().size).toBe(buckets);
      const started = looks();
      await service.apply(settings);
      return [started / buckets, (looks() - started) / buckets];
    } finally {
      await service.close();
    }
  };
  expect(await looksOf(400)).toEqual(await looksOf(40));
});

test("mirrors are made when their domain is first requested; a reload keeps them, and all origins are listed", async () => {
  const domain = (host: string) => ({ host, mirror: { origins: [{ type: "site", url: `http://${host}.test` }] } });
  const text = JSON.stringify({
    data: join(folder, "lazy"),
    projects: [
      {
        appid: "1",
        keys: [{ secretId: "A", secretKey: "B" }],
        buckets: ["used", "unused"].map((name) => ({ name, domains: [domain(`${name}.example.com`)] })),
      },
    ],
  });
  const parsed = parseSettings(text, { env: {}, readFile: () => "", file: "huiyuan.yaml" });
  /** Buckets whose mirror has been made: only that reads its timeouts. */
  const made = new Set<string>();
  const watched = <Mirror extends object>(mirror: Mirror, bucket: string): Mirror =>
    Object.defineProperty({ ...mirror }, "timeouts", {
      enumerable: true,
      get() {
        made.add(bucket);
        return Reflect.get(mirror, "timeouts");
      },
    });
  const settingsNow = () => ({
    ...parsed,
    projects: parsed.projects.map((project) => ({
      ...project,
      buckets: project.buckets.map((bucket) => ({
        ...bucket,
        domains: bucket.domains.map((each) => ({ ...each, mirror: each.mirror && watched(each.mirror, bucket.name) })),
      })),
    })),
  });
  const service = await openService({ settings: settingsNow(), meters: createMetrics(), log: linesOf() });
  try {
    const { registry } = service;
    const mirrorOf = (name: string) => {
      const host = `${name}.example.com`;
      return registry.sites.find(host)?.source?.route({ path: toKey("a.jpg"), method: "GET", host }).mirror;
    };
    expect([...made]).toEqual([]);
    const before = mirrorOf("used");
    expect([...made]).toEqual(["used"]);
    const listed = () => [...registry.originReport()].map(({ name, condition }) => [name, condition]);
    const all = [
      ["http://used.example.com.test", "unused"],
      ["http://unused.example.com.test", "unused"],
    ];
    expect(listed()).toEqual(all);
    // Twice, because a mirror made between two reloads must outlive both.
    for (let round = 0; round < 2; round += 1) await service.apply(settingsNow());
    expect([...made]).toEqual(["used"]);
    expect(mirrorOf("used")).toBe(before);
    expect(listed()).toEqual(all);
    expect(mirrorOf("unused")).not.toBe(before);
  } finally {
    await service.close();
  }
});
