// The settings file of a first start.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeFirstSettings } from "../../../../src/operate/cli/first-settings.ts";
import { loadSettings } from "../../../../src/settings/load.ts";
import { needs } from "../../../helpers/services.ts";

test("writeFirstSettings() writes a file without faults for its owner alone, and leaves an existing one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-first-"));
  try {
    const file = join(folder, "huiyuan.yaml");
    await writeFirstSettings(file);
    const { projects } = await loadSettings(file, { env: {} });
    expect(projects).toMatchObject([{ keys: [{ enabled: true }], buckets: [] }]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await readFile(file, "utf8");
    expect(await writeFirstSettings(file)).toBeUndefined();
    expect(await readFile(file, "utf8")).toBe(text);
    await expect(writeFirstSettings(join(folder, "none", "a.yaml"))).rejects.toMatchObject({
      code: "settings_invalid",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("writeFirstSettings() takes the next free ports, and says so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-first-"));
  const other = createServer().listen(0, "127.0.0.1");
  try {
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const file = join(folder, "huiyuan.yaml");
    const line = await writeFirstSettings(file, [port, port]);
    const { server } = await loadSettings(file, { env: {} });
    expect(server.port).toBeGreaterThan(port);
    expect(server.adminPort).toBeGreaterThan(port);
    expect(server.adminPort).not.toBe(server.port);
    expect(line).toBe(`${file} is new: port ${server.port} is for downloads, ${server.adminPort} for the console`);
  } finally {
    other.close();
    await rm(folder, { recursive: true });
  }
});

test(
  "writeFirstSettings() leaves no empty file on a full disk, and the next start writes it",
  needs("tmpfs"),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-first-"));
    const filled = join(folder, "filled");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
    try {
      await writeFile(filled, Buffer.alloc(65_536)).catch(() => undefined);
      const file = join(folder, "huiyuan.yaml");
      await expect(writeFirstSettings(file)).rejects.toThrow("ENOSPC");
      expect(await readdir(folder)).toEqual(["filled"]);
      await rm(filled);
      await writeFirstSettings(file);
      expect((await loadSettings(file, { env: {} })).projects).toHaveLength(1);
    } finally {
      execFileSync("umount", [folder]);
      await rm(folder, { recursive: true });
    }
  },
);
