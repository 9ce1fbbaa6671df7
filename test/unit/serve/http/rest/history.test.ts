// Stat and copy of an image that only the origin has: concurrent purges and deletes, and answers that must not be
// stored.
import { describe, expect, test } from "vitest";
import { type ObjectInfo, toKey } from "../../../../../src/core/object.ts";
import type { Route, Site } from "../../../../../src/serve/http/request/site.ts";
import { useImage } from "../../../../../src/serve/http/rest/history.ts";
import type { ManagedBucket } from "../../../../../src/serve/http/rest/project.ts";
import { fakeOrigin, type HeadFacts, image } from "../../../../helpers/fake-origins.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { type MirrorLab, type MirrorLabOptions, mirrorLab } from "../../../../helpers/mirror-lab.ts";
import { NEVER } from "../../../../helpers/spools.ts";

const jpeg = await noisyJpeg(40, 30);
const KEY = toKey("a.jpg");
const COPY = toKey("copy.jpg");

interface HistoryLab extends MirrorLab {
  readonly bucket: ManagedBucket;
  /** Number of requests to the origin. */
  requests(): number;
}

/** A bucket with a mirror whose origin has the image under every name. */
function historyLab(options: Omit<MirrorLabOptions, "origins"> = {}, head: HeadFacts = {}): HistoryLab {
  const origin = fakeOrigin(image(jpeg, head));
  const lab = mirrorLab({ ...options, origins: [origin] });
  const route = {
    ...{ match: {}, action: "mirror", type: "originals", keyQuery: "keep", keysHaveQueries: true, path: {} },
    ...{ denyQuery: [], setQuery: {}, passQuery: false, passes: undefined, setHeaders: {}, followRedirects: true },
    mirror: lab.mirror,
  } as unknown as Route;
  const mirrored = {
    domain: "*",
    aliases: new Map(),
    separators: [],
    source: { keysHaveQueries: true, ages: false, route: () => route, processes: () => true },
  } as unknown as Site;
  const bucket = { stored: lab.stored, mirrored } as unknown as ManagedBucket;
  return { ...lab, bucket, requests: () => origin.requests.length };
}

const use = (lab: HistoryLab, run: (info: ObjectInfo) => Promise<string | undefined>, key = KEY) =>
  useImage(lab.bucket, key, { signal: NEVER, use: run });

describe("useImage()", () => {
  test("fetches an absent object, and uses a stored one without a fetch", async () => {
    const lab = historyLab();
    for (let time = 0; time < 2; time += 1) {
      expect(await use(lab, async ({ hashes }) => hashes.sha256)).toHaveLength(64);
    }
    expect(lab.requests()).toBe(1);
  });

  test("fetches again if the object was purged before its use", async () => {
    const lab = historyLab();
    await lab.fetch(KEY);
    await lab.settled();
    let uses = 0;
    const copied = await use(lab, async () => {
      uses += 1;
      if (uses === 1) await lab.stored.purge(KEY, { hard: true });
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    expect([copied, uses, lab.requests()]).toEqual(["stored", 2, 2]);
  });

  test("throws original_replaced after a second purge", async () => {
    const lab = historyLab();
    const purged = use(lab, async () => {
      await lab.stored.purge(KEY, { hard: true });
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    await expect(purged).rejects.toMatchObject({ code: "original_replaced" });
    expect(lab.requests()).toBe(2);
  });

  test("returns undefined, without another fetch, if the object was deleted before its use", async () => {
    const lab = historyLab();
    const deleted = use(lab, async () => {
      await lab.stored.delete(KEY, "test");
      return lab.stored.copy(KEY, COPY, { when: "vacant" });
    });
    expect(await deleted).toBeUndefined();
    expect(lab.requests()).toBe(1);
  });

  test("throws not_found if the origin forbids storing", async () => {
    const freshness = { mode: "origin", ttlMs: 1_000, staleIfErrorMs: 0 } as const;
    const lab = historyLab({ mirror: { freshness } }, { life: { cacheControl: "no-store" } });
    const used = use(lab, async () => "used");
    await expect(used).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("forbids") });
  });

  test("throws not_found if the mirror has reached maxKeys", async () => {
    const lab = historyLab({ mirror: { keyBudget: { bucketId: "1/b", take: () => false, share: () => 1 } } });
    const used = use(lab, async () => "used", toKey("a.jpg?x=1"));
    await expect(used).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("maxKeys") });
  });

  test("throws store_failed if the store did not take the image", async () => {
    const lab = historyLab({ over: () => ({ put: () => Promise.reject(new Error("no room")) }) });
    await expect(use(lab, async () => "used")).rejects.toMatchObject({ code: "store_failed" });
  });
});
