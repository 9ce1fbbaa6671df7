import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, expect, test } from "vitest";
import { createSettingsReader } from "../../../../src/settings/edit/text-jobs.ts";
import { loadSettings } from "../../../../src/settings/load.ts";
import { fingerprintOf } from "../../../../src/settings/secrets.ts";

const folder = mkdtempSync(join(tmpdir(), "huiyuan-reader-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Two projects; all in JSON, which is YAML. */
function settingsWith(buckets: number): object {
  const origin = { type: "site", url: "https://src.example.com", basicAuth: { username: "u", password: "hidden" } };
  const bucketOf = (name: string) => ({
    name,
    callback: { url: "https://app.example.com/up", secret: "hidden-hidden-hidden" },
    domains: [
      { host: `${name}.example.com`, mirror: { origins: [origin], rules: [{ match: { prefix: "a/" } }] } },
      { host: `${name}.example.org` },
    ],
  });
  const keys = (secretId: string) => [{ secretId, secretKey: "env:KEY" }];
  return {
    projects: [
      { appid: "1", keys: keys("A"), buckets: Array.from({ length: buckets }, (_, index) => bucketOf(`b${index}`)) },
      { appid: "2", keys: keys("B"), buckets: [bucketOf("last")] },
      { appid: "3", keys: keys("C") },
    ],
  };
}

function readerOf(name: string, settings: object) {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(settings, undefined, 1));
  return createSettingsReader({ file, env: { KEY: "hidden-key" } });
}

test.each([1, 60])(
  "load() returns the settings of %i buckets as loadSettings() does: whole, in order, frozen, with hidden secrets",
  async (buckets) => {
    const reader = readerOf("whole.yaml", settingsWith(buckets));
    const { settings } = await reader.load();
    const wanted = await loadSettings(reader.place.file, reader.place);
    expect(settings).toEqual(wanted);
    expect(fingerprintOf(settings)).toBe(fingerprintOf(wanted));
    expect(JSON.stringify(settings) + inspect(settings, { depth: 20 })).not.toContain("hidden");
    const parts = (value: unknown): unknown[] =>
      typeof value === "object" && value !== null ? [value, ...Object.values(value).flatMap(parts)] : [];
    expect(parts(settings).filter((part) => !Object.isFrozen(part))).toEqual([]);
  },
);

test.each([1, 60])("load() throws each fault of %i buckets with its line", async (buckets) => {
  const settings = settingsWith(buckets);
  const faulty = JSON.parse(JSON.stringify(settings).replaceAll('"prefix"', '"prefx"'));
  const reader = readerOf("faulty.yaml", faulty);
  const wanted = await loadSettings(reader.place.file, reader.place).catch((error: unknown) => error);
  expect(wanted).toMatchObject({ name: "SettingsFaults", faults: { length: buckets + 1 } });
  await expect(reader.load()).rejects.toEqual(wanted);
});

test("run() leaves the event loop free while a large text is read, and throws the errors of a job", async () => {
  const reader = readerOf("large.yaml", settingsWith(60));
  const started = (await reader.load()).settings;
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 1);
  const text = JSON.stringify(settingsWith(60));
  const edits = [{ path: ["projects", 9, "appid"], value: "9" }];
  await expect(reader.run("edit", text, reader.place, edits, started)).rejects.toMatchObject({
    code: "request_invalid",
  });
  clearInterval(turning);
  expect(turns).toBeGreaterThan(5);
}, 60_000);
