// The packed SDK, unpacked into an empty project without our dependencies and imported by its package name.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-package-"));
  const installed = join(folder, "node_modules", "huiyuan");
  await mkdir(installed, { recursive: true });
  // The package's scripts would rebuild dist/ while other tests run it.
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: ROOT });
  const tarball = join(folder, stdout.trim().split("\n").at(-1) ?? "");
  await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const PROGRAM = `
import { createClient, HuiyuanClientError, processing, verifyCallback } from "huiyuan/client";
const keys = { secretId: "AKIDONE", secretKey: "secret" };
const client = createClient({ endpoint: "http://localhost:8080", appid: "10001234", bucket: "photos", ...keys });
console.log(client.url("a b.jpg", { process: processing().fit({ width: 200 }).format("webp") }));
console.log(verifyCallback("nothing", { secret: "secret" }).ok);
try {
  client.sign({ operation: "upload", lifeSeconds: 0 });
} catch (error) {
  if (error instanceof HuiyuanClientError) console.log(error.name, error.code);
}
`;

test("a packed huiyuan/client runs without any other package", async () => {
  await writeFile(join(folder, "program.mjs"), PROGRAM);
  const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: folder });
  expect(stdout.trim().split("\n")).toEqual([
    "http://photos-10001234.localhost:8080/a%20b.jpg?imageView2/2/w/200/format/webp",
    "false",
    "argument_invalid -1",
  ]);
});

test("a packed huiyuan/client has types that need no other package", async () => {
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const wrong = "// @ts-expect-error: a copy is bound to a file\nclient.sign({ operation: 'copy' });\n";
  await writeFile(join(folder, "program.ts"), PROGRAM + wrong);
  const compilerOptions = {
    strict: true,
    module: "nodenext",
    target: "es2023",
    lib: ["es2023", "dom"],
    types: [],
    noEmit: true,
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder]).catch((error: unknown) => {
    throw new Error((error as { stdout: string }).stdout);
  });
});

test("no other file of the package can be imported by the package name", async () => {
  const inner = `await import("huiyuan/dist/app.js").then(() => console.log("in"), (error) => console.log(error.code));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", inner], { cwd: folder });
  expect(stdout.trim()).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
});
