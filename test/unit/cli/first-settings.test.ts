// The settings file of a first start.
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeFirstSettings } from "../../../src/cli/first-settings.ts";
import { loadSettings } from "../../../src/settings/load.ts";

test("writeFirstSettings() writes a file without faults for its owner alone, and leaves an existing one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-first-"));
  try {
    const file = join(folder, "huiyuan.yaml");
    await writeFirstSettings(file);
    const { projects } = await loadSettings(file, { env: {} });
    expect(projects).toMatchObject([{ keys: [{ enabled: true }], buckets: [] }]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await readFile(file, "utf8");
    await writeFirstSettings(file);
    expect(await readFile(file, "utf8")).toBe(text);
    await expect(writeFirstSettings(join(folder, "none", "a.yaml"))).rejects.toMatchObject({
      code: "settings_invalid",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
