import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../../src/core/log.ts";
import { firstValue, openSqlite } from "../../../../../../src/core/sqlite.ts";
import { createFsStore, type FsStore } from "../../../../../../src/serve/bucket/fs/fs-store.ts";
import { bytesOfNumber } from "../../../../../helpers/put-until-killed.ts";
import { readAll } from "../../../../../helpers/whole-body.ts";

const ROOT = fileURLToPath(new URL("../../../../../../", import.meta.url));

let dir: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-crash-"));
});

afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(dir, { recursive: true });
});

/** Kills the child with -9 after this many acknowledged steps. Returns all steps that it had acknowledged. */
async function acknowledgedBeforeKill(steps: number): Promise<Set<string>> {
  const acknowledged = new Set<string>();
  const script = join(ROOT, "test/helpers/put-until-killed.ts");
  child = spawn(process.execPath, ["--import", "tsx", script, dir], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout! })) {
    acknowledged.add(line);
    if (acknowledged.size === steps) child.kill("SIGKILL");
  }
  await exited;
  return acknowledged;
}

async function checkAll(store: FsStore, acknowledged: ReadonlySet<string>): Promise<void> {
  const bucket = store.bucket("1/b");
  let after: Parameters<typeof bucket.list>[0]["after"];
  const found = new Set<string>();
  do {
    const page = await bucket.list({ prefix: "", after, limit: 100 });
    for (const info of page.objects) {
      const bytes = await readAll(await bucket.open(info), info.size);
      expect(bytes.equals(bytesOfNumber(Number(info.key))), `object ${info.key}`).toBe(true);
      found.add(info.key);
    }
    after = page.next;
  } while (after !== undefined);
  for (const step of acknowledged) {
    if (step.startsWith("-")) expect(found.has(step.slice(1)), `deleted ${step}`).toBe(false);
    else if (Number(step) % 5 !== 0) expect(found.has(step), `stored ${step}`).toBe(true);
  }
}

test("kill -9 during puts and deletes loses no acknowledged change, tears no object, and frees the data lock", async () => {
  const acknowledged = await acknowledgedBeforeKill(150);
  expect(acknowledged.size).toBeGreaterThanOrEqual(150);
  const later = Date.now() + 7_200_000;
  const store = await createFsStore({ dir, now: () => later, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  await checkAll(store, acknowledged);
  await store.scanOrphans();
  await store.sweep();
  await checkAll(store, acknowledged);
  const files = readdirSync(join(dir, "blobs"), { recursive: true }).filter((name) => `${name}`.length > 60);
  const catalogue = openSqlite(join(dir, "catalogue.db"), { readonly: true });
  const withFile = firstValue(catalogue, "SELECT count(*) FROM blobs WHERE pack IS NULL");
  catalogue.close();
  expect(files).toHaveLength(Number(withFile));
  await store.close();
}, 30_000);
