import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../../../../", import.meta.url));
const DESCRIPTORS = 128;
const OBJECTS = 200;

test("open() closes cached descriptors when the process has none left", async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-descriptors-"));
  try {
    // It sets both limits, because Node raises the soft one to the hard one.
    const command = `ulimit -n ${DESCRIPTORS}; exec "$0" --import tsx test/helpers/read-with-few-descriptors.ts "$@"`;
    const child = promisify(execFile)("sh", ["-c", command, process.execPath, dir, `${OBJECTS}`], { cwd: ROOT });
    expect((await child).stdout.trim()).toBe(`${2 * OBJECTS}`);
  } finally {
    await rm(dir, { recursive: true });
  }
});
