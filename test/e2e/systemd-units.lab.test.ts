// The units of config/: systemd finds no fault in them, and the program works under another user with only the system
// calls that they allow. systemd itself does not run here, so it starts no unit.
import { type ExecFileOptions, execFile } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, install, PROGRAM } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { startService } from "../helpers/scripted-service.ts";
import { ANOTHER_USER, ANOTHER_USER_ID, needs } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const execute = promisify(execFile);
const run = (command: string, args: readonly string[], options: ExecFileOptions = {}) =>
  execute(command, args, { ...options, encoding: "utf8" });
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = join(ROOT, "config");
const SERVICES = ["huiyuan.service", "huiyuan@.service", "huiyuan-backup.service"];
const INSTALLED = "/opt/huiyuan/lib/node_modules/huiyuan/dist/main.js";

/** The values of a key, in order. */
async function valuesOf(unit: string, key: string): Promise<readonly string[]> {
  const text = await readFile(join(CONFIG, unit), "utf8");
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}
const wordsOf = async (unit: string, key: string) => (await valuesOf(unit, key)).flatMap((value) => value.split(" "));

describe("systemd-analyze", needs("systemd-analyze"), () => {
  test("finds no fault in the units", async () => {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-units-"));
    try {
      for (const unit of [...SERVICES, "huiyuan-backup.timer"]) {
        const text = await readFile(join(CONFIG, unit), "utf8");
        // systemd finds `node` in system folders only, where a developer may not have it.
        await writeFile(join(folder, unit), text.replace("ExecStart=node", `ExecStart=${process.execPath}`));
      }
      for (const unit of [...SERVICES, "huiyuan-backup.timer"]) {
        const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", join(folder, unit)]);
        expect(stdout + stderr).toBe("");
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test.each(SERVICES)("rates the exposure of %s as 2.0 or less", async (unit) => {
    await run("systemd-analyze", ["security", "--offline=true", "--threshold=20", join(CONFIG, unit)]);
  });
});

test("the service runs node with the flags and the environment of the Dockerfile", async () => {
  const dockerfile = await readFile(join(ROOT, "Dockerfile"), "utf8");
  const [, variables = ""] = /^ENV (.*)$/m.exec(dockerfile) ?? [];
  expect(await valuesOf("huiyuan.service", "Environment")).toEqual([variables]);
  const words = (name: string) => JSON.parse(new RegExp(`^${name} (.*)$`, "m").exec(dockerfile)?.[1] ?? "[]");
  const commandLine = [...words("ENTRYPOINT"), ...words("CMD")].map((word) =>
    word.replace("/app/dist/main.js", INSTALLED),
  );
  expect(await wordsOf("huiyuan.service", "ExecStart")).toEqual(commandLine);
});

test("the nodes of one machine run as the single server, each with settings and a data folder of its own", async () => {
  const single = await readFile(join(CONFIG, "huiyuan.service"), "utf8");
  const node = await readFile(join(CONFIG, "huiyuan@.service"), "utf8");
  const bodyOf = (text: string) => text.slice(text.indexOf("[Unit]"));
  const expected = bodyOf(single)
    .replace(/^Description=.*$/m, "$&, node %i")
    .replace("/etc/huiyuan/huiyuan.yaml", "/etc/huiyuan/%i.yaml")
    .replace("/var/lib/huiyuan", "$&-%i")
    .replace("StateDirectory=huiyuan", "$&-%i");
  expect(bodyOf(node)).toBe(expected);
});

describe("under another user", needs("systemd-analyze", "strace", "another user"), () => {
  test("server and backup work with the system calls that their units allow", async () => {
    const jpeg = await noisyJpeg(320, 240);
    const site = await startService();
    site.answers((_request, response) => response.writeHead(200, { "content-type": "image/jpeg" }).end(jpeg));
    const installation = await install(oneBucket(mirrorOf(site.url)));
    const [data, backups] = [installation.data, join(installation.folder, "backups")];
    const [trace, backupTrace] = [join(data, "trace"), join(data, "backup-trace")];
    const traced = (file: string) => ["setpriv", ...ANOTHER_USER, "strace", "-D", "-f", "-qq", "-c", "-o", file];
    try {
      await chmod(installation.folder, 0o755); // as /etc/huiyuan: this user reads it and cannot write
      for (const folder of [data, backups]) {
        await mkdir(folder);
        await chown(folder, ANOTHER_USER_ID, ANOTHER_USER_ID);
      }
      const flags = (await wordsOf("huiyuan.service", "ExecStart")).filter((word) => word.startsWith("--max"));
      const program = await installation.start({ wrap: traced(trace), nodeFlags: flags });
      const port = program.downloadPort;
      for (const path of [
        "/a.jpg",
        "/a.jpg",
        "/a.jpg?imageView2/2/w/100/format/webp",
        "/a.jpg?watermark/2/text/5Zue",
      ]) {
        expect([path, (await get({ port, path })).status]).toEqual([path, 200]);
      }
      const { code } = await callApi({ port, path: "/b.jpg", sign: uploadToken(), form: fileForm(jpeg) });
      expect(code).toBe(0);

      const [setpriv = "", ...words] = traced(backupTrace);
      await run(setpriv, [...words, process.execPath, PROGRAM, "backup", backups, "--config", installation.file]);
      expect(await program.stop()).toBe(0);
      expect(await forbidden(trace, "huiyuan.service")).toEqual([]);
      expect(await forbidden(backupTrace, "huiyuan-backup.service")).toEqual([]);
    } finally {
      await installation.remove();
      await site.close();
    }
  });

  /** System calls in the summary that strace writes after the program's end and that the unit does not allow. */
  async function forbidden(trace: string, unit: string): Promise<readonly string[]> {
    let summary = "";
    await eventually(async () => {
      summary = await readFile(trace, "utf8").catch(() => "");
      return /total$/m.test(summary);
    }, "strace has written its summary");
    const used = [...summary.matchAll(/^ +[\d.]+ .* (\w+)$/gm)].map(([, name = ""]) => name);
    expect(used.length).toBeGreaterThan(40);
    const { stdout } = await run("systemd-analyze", ["syscall-filter"]);
    const sets = new Map(
      [...stdout.matchAll(/^(@[\w-]+)\n((?: .*\n)*)/gm)].map(([, name = "", text = ""]) => [name, text]),
    );
    const callsIn = (word: string): readonly string[] =>
      sets
        .get(word)
        ?.trim()
        .split(/\s*\n\s*/)
        .flatMap(callsIn) ?? [word];
    const allowed = new Set<string>();
    for (const word of await wordsOf(unit, "SystemCallFilter")) {
      for (const call of callsIn(word.replace("~", ""))) allowed[word.startsWith("~") ? "delete" : "add"](call);
    }
    return used.filter((call) => call !== "total" && !allowed.has(call));
  }
});
