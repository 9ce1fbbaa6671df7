// Runs in each test process before its test file. Notes the running test and the file's start time for
// watch-workers.ts.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect } from "vitest";

const folder = process.env.HUIYUAN_TEST_WORKERS;
if (folder !== undefined) {
  process.report.directory = folder;
  const file = expect.getState().testPath;
  const since = Date.now();
  const note = (test: string) =>
    writeFileSync(join(folder, String(process.pid)), JSON.stringify({ file, since, test }));
  note("");
  beforeEach(({ task }) => note(task.name));
}
