import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withoutSecrets } from "../../../../../src/operate/migrations/jobs/job-files.ts";
import { createMigrationJobs, type MigrationJobs } from "../../../../../src/operate/migrations/jobs/jobs.ts";
import { jobFolder } from "../../../../../src/operate/migrations/journal/job-folder.ts";

const REQUEST = {
  fromOrigin: "img.example.com",
  list: "a.jpg",
  config: {},
  acceptSuspect: false,
} as const;
let dir: string;
let jobs: MigrationJobs;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-jobs-"));
  // Each run ends at once: there are no such settings.
  const parts = {
    settingsFile: "none.yaml",
    folders: () => [],
    checkOrigins: () => undefined,
  };
  jobs = createMigrationJobs({ dir, ...parts });
});
afterEach(async () => {
  await jobs.close();
  rmSync(dir, { recursive: true, force: true });
});

const create = (id: string) => jobs.create(id, { ...REQUEST, overwrite: "never" });
const untilEnded = (id: string) => expect.poll(() => jobs.stat(id).isRunning, { timeout: 60_000 }).toBe(false);

test("remove() leaves nothing of a job that could delete the next one of this id", async () => {
  await create("photos");
  await untilEnded("photos");
  jobs.remove("photos");
  expect((await create("photos")).isRunning).toBe(true);
  await untilEnded("photos");
  expect(jobs.list()).toHaveLength(1);
});

test("remove() and start() refuse a job on which a command runs", async () => {
  await create("photos");
  await untilEnded("photos");
  const unlock = jobFolder(join(dir, "photos")).lock();
  await expect(jobs.start("photos", { rescans: false })).rejects.toThrow(/is running/);
  expect(() => jobs.remove("photos")).toThrow(/is running/);
  expect(jobs.list()).toHaveLength(1);
  unlock?.();
  expect(jobs.remove("photos")).toEqual({ removed: "photos" });
});

test.each([
  [["a"], "a failure at a.jpg", "a failure at a.jpg"],
  [["key"], "key key", "key key"],
  [["abcd"], "abcd abc", "… abc"],
  [["", "AKID"], "the key AKID", "the key …"],
  [["AKID", "AKIDAKID-2"], "AKIDAKID-2 AKID", "… …"],
])("withoutSecrets() hides secrets of 4 characters or more, longer ones first: %j", (secrets, text, hidden) => {
  const config = Object.fromEntries(secrets.map((secret, index) => [`${index}.secretKey`, secret]));
  expect(withoutSecrets(text, { ...REQUEST, overwrite: "never", config })).toBe(hidden);
});
