// Images that a bucket has not mirrored yet, as stat and copy come to them: what overtakes them, and what is not to be stored.
import { describe, expect, test } from "vitest";
import { type ObjectInfo, toKey } from "../../../../src/core/object.ts";
import type { Route, Site } from "../../../../src/http/request/site.ts";
import { useImage } from "../../../../src/http/rest/history.ts";
import type { ManagedBucket } from "../../../../src/http/rest/project.ts";
import { fakeOrigin, type HeadFacts, image } from "../../../helpers/fake-origins.ts";
import { noisyJpeg } from "../../../helpers/images.ts";
import { type MirrorLab, type MirrorLabOptions, mirrorLab } from "../../../helpers/mirror-lab.ts";
import { NEVER } from "../../../helpers/spools.ts";

const jpeg = await noisyJpeg(40, 30);
const KEY = toKey("a.jpg");
const COPY = toKey("copy.jpg");

interface HistoryLab extends MirrorLab {
  readonly bucket: ManagedBucket;
  /** How often the origin was asked. */
  asked(): number;
}

/** A bucket whose mirror's origin has the image under every name. */
function historyLab(options: Omit<MirrorLabOptions, "origins"> = {}, head: HeadFacts = {}): HistoryLab {
  const origin = fakeOrigin(image(jpeg, head));
  const lab = mirrorLab({ ...options, origins: [origin] });
  const route = {
    ...{ match: {}, action: "mirror", type: "originals", keyQuery: "keep", keysHaveQueries: true, path: {} },
    ...{ denyQuery: [], setQuery: {}, passQuery: false, passes: () => false, setHeaders: {}, followRedirects: true },
    mirror: lab.mirror,
  } as unknown as Route;
  const mirrored = {
    domain: "*",
    aliases: new Map(),
    separators: [],
    source: { keysHaveQueries: true, ages: false, route: () => route, processes: () => true },
  } as unknown as Site;
  const bucket = { stored: lab.stored, mirrored } as unknown as ManagedBucket;
  return { ...lab, bucket, asked: () => origin.requests.length };
}

const use = (lab: HistoryLab, run: (info: ObjectInfo) => Promise<string | undefined>, key = KEY) =>
  useImage(lab.bucket, key, { signal: NEVER, use: run });

describe("useImage()", () => {
  test("fetches what is not there, and uses what is", async () => {
    const lab = historyLab();
    for (let time = 0; time < 2; time += 1) {
      expect(await use(lab, async ({ hashes }) => hashes.sha256)).toHaveLength(64);
    }
    expect(lab.asked()).toBe(1);
  });

  test("fetches again what is purged before it is used", async () => {
    const lab = historyLab();
    await lab.fetch(KEY);
    await lab.settled();
    let uses = 0;
    const copied = await use(lab, async () => {
      uses += 1;
      if (uses === 1) await lab.stored.purge(KEY, { hard: true });
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    expect([copied, uses, lab.asked()]).toEqual(["stored", 2, 2]);
  });

  test("has those come again who are overtaken once more", async () => {
    const lab = historyLab();
    const purged = use(lab, async () => {
      await lab.stored.purge(KEY, { hard: true });
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    await expect(purged).rejects.toMatchObject({ code: "original_replaced" });
    expect(lab.asked()).toBe(2);
  });

  test("is undefined for what is deleted before it is used, and nobody fetches it", async () => {
    const lab = historyLab();
    const deleted = use(lab, async () => {
      await lab.stored.delete(KEY, "test");
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    expect(await deleted).toBeUndefined();
    expect(lab.asked()).toBe(1);
  });

  test("throws not_found for what the origin forbids to keep", async () => {
    const freshness = { mode: "origin", ttlMs: 1_000, staleIfErrorMs: 0 } as const;
    const lab = historyLab({ mirror: { freshness } }, { life: { cacheControl: "no-store" } });
    const used = use(lab, async () => "used");
    await expect(used).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("forbids") });
  });

  test("throws not_found for what the mirror has no keys left for", async () => {
    const lab = historyLab({ mirror: { keyBudget: { take: () => false } } });
    const used = use(lab, async () => "used", toKey("a.jpg?x=1"));
    await expect(used).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("maxKeys") });
  });

  test("throws store_failed for what could not be stored", async () => {
    const lab = historyLab({ over: () => ({ put: () => Promise.reject(new Error("no room")) }) });
    await expect(use(lab, async () => "used")).rejects.toMatchObject({ code: "store_failed" });
  });
});
