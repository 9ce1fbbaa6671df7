// A command loads what it needs: help comes at once, and a command to a server does not load the mirror.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

interface Coverage {
  readonly result: readonly { readonly url: string }[];
}

/** Our files, and packages, that V8 loaded for a command. */
async function loadedBy(args: readonly string[]): Promise<{ files: string[]; packages: Set<string> }> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-loaded-"));
  try {
    const env = { ...process.env, NODE_V8_COVERAGE: folder };
    // The exit code does not matter: no server runs.
    await new Promise((resolve) => execFile(process.execPath, [MAIN, ...args], { env }, resolve));
    const reports = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
    const urls = reports.flatMap((report) => (JSON.parse(report) as Coverage).result.map(({ url }) => url));
    const files = urls.flatMap((url) => /\/dist\/(.*)$/.exec(url)?.slice(1) ?? []);
    const packages = new Set(urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.slice(1) ?? []));
    return { files, packages };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test.each(["--version", "--help", "help", ""])("huiyuan %s loads commander alone", async (word) => {
  const { files, packages } = await loadedBy(word === "" ? [] : [word]);
  expect([...packages]).toEqual(["commander"]);
  expect(files).toContain("main.js");
  expect(files.filter((file) => !/^(?:main\.js|core\/|operate\/cli\/|settings\/fault)/.test(file))).toEqual([]);
});

test("huiyuan stat loads neither the mirror nor the schema of the settings", async () => {
  const { files, packages } = await loadedBy(["stat", "--admin", "http://127.0.0.1:1", "a.jpg"]);
  expect(files).toContain("operate/images/commands/show-objects.js");
  expect(files.filter((file) => /^serve\/|^settings\/schema/.test(file))).toEqual([]);
  expect([...packages].sort()).toEqual(["commander", "yaml"]);
});
