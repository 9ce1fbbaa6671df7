// The metrics describe themselves, and the table of Cache-Status in docs/guides/downloads.md has what the program has.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createMetrics, type Metrics } from "../../../../src/operate/admin/metrics.ts";
import { CACHE_STATUS } from "../../../../src/serve/http/download/download-context.ts";

const GUIDE = readFileSync(new URL("../../../../docs/guides/downloads.md", import.meta.url), "utf8");
/** The first cells of the table that begins with this row. */
const cells = (head: string) => {
  const [, table = ""] = GUIDE.split(head);
  const [rows = ""] = table.split("\n\n");
  return rows.split("\n").map((row) => row.split("|")[1] ?? "");
};

async function scraped(metrics: Metrics): Promise<string> {
  const none = () => 0;
  const { text } = await metrics.scrape({
    memory: () => ({ objects: 0, bytes: 0 }),
    spool: () => ({ spools: 0, bytes: 0 }),
    storing: () => ({ depth: 0, oldestMs: 0 }),
    isAttached: () => undefined,
    damaged: none,
    fills: none,
    uploads: none,
    sliceUploads: none,
    origins: () => [],
    keyBudgets: () => [],
    outboxCounts: async () => [],
    backups: async () => ({}),
    renders: () => ({ running: 0, waiting: 0 }),
    disk: async () => undefined,
    isReady: async () => true,
  });
  metrics.stop();
  return text;
}

test("series names every series of a scrape, with its type", async () => {
  const metrics = createMetrics();
  const text = await scraped(metrics);
  expect(metrics.series.length).toBeGreaterThan(40);
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map(([, name, type]) => `${name} ${type}`);
  expect(metrics.series.map(({ name, type }) => `${name} ${type}`)).toEqual(types);
});

test("images that could not be stored are counted from 0 by reason, so that a first burst is an increase", async () => {
  const metrics = createMetrics();
  metrics.mirror.notStored("store_full");
  const counts = (await scraped(metrics)).match(/(?<=^huiyuan_not_stored_total\{reason=")\w+"\} \d+$/gm);
  expect(counts).toContain('store_full"} 1');
  expect(counts).toContain('store_failed"} 0');
});

test("every Cache-Status is in the guide", () => {
  const { revalidated, ...others } = CACHE_STATUS;
  const values = [...Object.values(others), ...Object.values(revalidated)];
  const further = ["huiyuan; fwd=uri-miss; detail=redirect", "huiyuan; detail=error", "huiyuan; hit; ttl=-N; detail=…"];
  const described = cells("| value | meaning |").flatMap((cell) => /`(.+)`/.exec(cell)?.[1] ?? []);
  expect(described.sort()).toEqual([...values, ...further].sort());
});
