// The packed program as a stranger gets it: the files in the tarball, `npx` in an empty folder, and the SDK after
// `npm install` in an empty project. npm takes the other packages from its cache, or from the registry.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { within } from "../helpers/program.ts";
import { needs } from "../helpers/services.ts";

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Node 20 and 22 may have to compile better-sqlite3. */
const INSTALL_MS = 240_000;

let folder: string;
let packed: { readonly filename: string; readonly size: number; readonly files: readonly { readonly path: string }[] };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-packed-"));
  // The package's scripts would rebuild dist/ while other tests run it.
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  [packed] = JSON.parse((await execute("npm", args, { cwd: ROOT, encoding: "utf8", maxBuffer: 16_777_216 })).stdout);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the tarball has what a user needs, and nothing of the build", () => {
  const inConfig = packed.files.map(({ path }) => path).filter((path) => /^config\/[^/]*$/.test(path));
  expect(inConfig).toEqual([
    "config/compose-cluster.yaml",
    "config/compose.yaml",
    "config/huiyuan-backup.service",
    "config/huiyuan-backup.timer",
    "config/huiyuan.schema.json",
    "config/huiyuan.service",
    "config/huiyuan.yaml",
    "config/huiyuan@.service",
    "config/kubernetes.yaml",
    "config/nginx-cluster.conf",
    "config/nginx.conf",
    "config/prepare.mjs", // package.json names it
    ...[1, 2, 3, 4].map((number) => `config/scenario-${number}.yaml`),
  ]);
  const tops = new Set(packed.files.map(({ path }) => path.split("/")[0]));
  const pages = ["CHANGELOG.md", "LICENSE", "README.md", "README.zh-CN.md", "package.json"];
  expect([...tops].sort()).toEqual([...pages, "config", "dist", "docs"].sort());
  expect(packed.files.filter(({ path }) => /buildinfo|\.test\./.test(path))).toEqual([]);
  expect(packed.size).toBeLessThan(4_000_000);
});

test("`npm run build` makes an executable program, which `npm link` may point to", { timeout: 120_000 }, async () => {
  const copy = join(folder, "source");
  for (const name of ["package.json", "tsconfig.json", "config", "src"])
    await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
  await execute("npm", ["run", "build"], { cwd: copy });
  const { stdout } = await execute(join(copy, "dist", "main.js"), ["--version"], { encoding: "utf8" });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe("from the tarball", needs("npm registry"), () => {
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    // npm's own cache, without leaving an installed copy in it.
    const cache = join(folder, "cache");
    await mkdir(cache);
    const { stdout } = await execute("npm", ["config", "get", "cache"], { encoding: "utf8" });
    for (const part of ["_cacache", "_prebuilds"]) await symlink(join(stdout.trim(), part), join(cache, part));
    // A request that the registry does not answer is sent again; npm would wait 300 s.
    const settings = { npm_config_cache: cache, npm_config_prefer_offline: "true", npm_config_fetch_timeout: "30000" };
    env = { ...process.env, ...settings, npm_config_yes: "true" };
  });

  /** An empty folder with the tarball. */
  async function emptyFolder(name: string): Promise<string> {
    const made = join(folder, name);
    await mkdir(made);
    await symlink(join(folder, packed.filename), join(made, packed.filename));
    return made;
  }

  test("`npx ./huiyuan-….tgz try` serves a picture", { timeout: INSTALL_MS }, async () => {
    const args = [`./${packed.filename}`, "try", "--json", "--port", "0", "--admin-port", "0"];
    // A process group of its own, because npx starts a shell that starts the trial.
    const options = { cwd: await emptyFolder("trial"), env: { ...env, TMPDIR: folder }, detached: true } as const;
    const trial = spawn("npx", args, { ...options, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const { mirrorUrl, requests } = JSON.parse(await firstLine(trial));
      expect([requests.first.status, requests.second.status]).toEqual([200, 200]);
      expect((await fetch(mirrorUrl)).headers.get("content-type")).toBe("image/jpeg");
    } finally {
      const ended = once(trial, "close");
      process.kill(-(trial.pid ?? 0), "SIGTERM");
      await ended;
    }
  });

  test("`npm install` makes huiyuan/client and the command available", { timeout: INSTALL_MS }, async () => {
    const cwd = await emptyFolder("project");
    await writeFile(join(cwd, "package.json"), '{ "type": "module" }');
    await execute("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", `./${packed.filename}`], {
      cwd,
      env,
    });
    const program = `import { createClient } from "huiyuan/client";
      const keys = { secretId: "AKIDONE", secretKey: "secret" };
      const client = createClient({ endpoint: "http://localhost:8080", appid: "10001234", bucket: "photos", ...keys });
      console.log(client.url("a.jpg"));`;
    const { stdout } = await execute(process.execPath, ["--input-type=module", "-e", program], {
      cwd,
      encoding: "utf8",
    });
    expect(stdout).toBe("http://photos-10001234.localhost:8080/a.jpg\n");
    const help = await execute("npx", ["huiyuan", "--help"], { cwd, env, encoding: "utf8" });
    expect(help.stdout).toMatch(/^Usage: huiyuan /);
  });
});

async function firstLine(child: ChildProcess): Promise<string> {
  let output = "";
  const line = new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes("\n")) resolve(output);
    });
    child.once("exit", (code) => reject(new Error(`npx ended with ${code}: ${output}`)));
  });
  return within(line, INSTALL_MS, () => `npx printed no line: ${output}`);
}
