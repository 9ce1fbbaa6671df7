import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkCommand } from "../../../../src/operate/cli/check.ts";

const GOOD = `projects:
  - appid: "1"
    keys: [{ secretId: A, secretKey: hush }]
    buckets:
      - name: b
        domains: [{ host: "*", mirror: { origins: [{ type: site, url: "https://h" }] } }]
`;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-check-"));
  file = join(folder, "huiyuan.yaml");
});
afterEach(async () => {
  process.exitCode = undefined;
  await rm(folder, { recursive: true });
});

/** Runs the command; the result includes its error. */
async function run(...args: string[]) {
  const out = new PassThrough();
  const err = new PassThrough();
  const thrown = await checkCommand({ out, err, isInteractive: false })
    .parseAsync(args, { from: "user" })
    .then(() => undefined)
    .catch((error: unknown) => error);
  const textOf = (stream: PassThrough) => String(stream.read() ?? "");
  return { out: textOf(out), err: textOf(err), exitCode: process.exitCode, thrown };
}

test("check summarizes a valid file and ends with 0", async () => {
  await writeFile(file, GOOD);
  const { out, exitCode } = await run("--config", file);
  const text = `${file} is good: 1 project, 1 bucket, 1 domain, 1 origin\n  public address of 1/b: http://b-1.localhost:8080`;
  const hint = " (this machine only; others need server.baseDomain, or a domain of the bucket)";
  expect([out, exitCode]).toEqual([`${text}${hint}\n`, 0]);
  await writeFile(file, `server: { baseDomain: image.example.com }\n${GOOD}`);
  expect((await run("--config", file)).out).toBe(`${text.replace("localhost", "image.example.com")}\n`);
});

test("check prints the public address of each bucket", async () => {
  const buckets = `      - { name: c, domains: [{ host: try.example.com }] }
      - name: b
        publicDomain: img.example.com
`;
  await writeFile(file, `server: { publicScheme: https }\n${GOOD.replace("      - name: b\n", buckets)}`);
  const { out } = await run("--config", file, "--json");
  expect(JSON.parse(out).publicAddresses).toEqual([
    { bucket: "1/c", url: "https://try.example.com" },
    { bucket: "1/b", url: "https://img.example.com" },
  ]);
});

test("check warns of adminHosts without a token, and still ends with 0", async () => {
  await writeFile(file, `server: { adminHosts: [admin.example.com] }\n${GOOD}`);
  const { out, exitCode } = await run("--config", file);
  expect([out, exitCode]).toEqual([expect.stringMatching(/\n {2}warning: .*server\.adminToken.*\n$/), 0]);
  expect(JSON.parse((await run("--config", file, "--json")).out).warnings).toHaveLength(1);
  await writeFile(file, GOOD);
  expect(JSON.parse((await run("--config", file, "--json")).out).warnings).toEqual([]);
});

test("check prints no public address if the system chooses the port", async () => {
  await writeFile(file, `server: { port: 0 }\n${GOOD}`);
  expect(JSON.parse((await run("--config", file, "--json")).out).publicAddresses).toEqual([
    { bucket: "1/b", url: null },
  ]);
  expect((await run("--config", file)).out).toMatch(/\n {2}public address of 1\/b: .*server\.port is 0\n$/);
});

test("check prints every fault with file, line and column and ends with 1", async () => {
  await writeFile(file, `server: { port: x }\n${GOOD.replace('"1"', '"one"')}`);
  const { out, exitCode } = await run("--config", file);
  const places = out
    .trimEnd()
    .split("\n")
    .map((line) => line.split("  ").slice(0, 2));
  expect(places).toEqual([
    [`${file}:1:17`, "server.port"],
    [`${file}:3:12`, "projects[0].appid"],
  ]);
  expect(exitCode).toBe(1);
});

test("check --json prints one object, with faults or without", async () => {
  await writeFile(file, GOOD);
  const good = await run("--config", file, "--json");
  expect(JSON.parse(good.out)).toEqual({
    ...{ ok: true, file, projects: 1, buckets: 1, domains: 1, origins: 1 },
    publicAddresses: [{ bucket: "1/b", url: "http://b-1.localhost:8080" }],
    warnings: [],
  });
  await writeFile(file, `limits: { fills: 0 }\n${GOOD}`);
  const bad = await run("--config", file, "--json");
  expect(JSON.parse(bad.out)).toMatchObject({
    ok: false,
    file,
    faults: [{ path: "limits.fills", line: 1, column: 18 }],
  });
  expect([good.exitCode, bad.exitCode]).toEqual([0, 1]);
});

test("check --lang zh says the same in Chinese", async () => {
  await writeFile(file, `server: { adminHosts: [a.example], baseDomain: b.example }\n${GOOD}`);
  const { out, exitCode } = await run("--config", file, "--lang", "zh");
  const address = "  1/b 的公开地址：http://b-1.b.example:8080\n  警告：设置了 server.adminHosts";
  expect([out, exitCode]).toEqual([expect.stringContaining(`1 个项目，1 个空间，1 个域名，1 个源站\n${address}`), 0]);
  await writeFile(file, `server: { wokers: 1 }\nlimits: { fills: 0 }\n${GOOD}`);
  const faultsOf = async (...args: string[]) => JSON.parse((await run("--config", file, "--json", ...args)).out).faults;
  const [english, chinese] = [await faultsOf(), await faultsOf("--lang", "zh")];
  expect(chinese.map((fault: object) => ({ ...fault, message: "" }))).toEqual(
    english.map((fault: object) => ({ ...fault, message: "" })),
  );
  expect((await run("--config", file, "--lang", "zh")).out).toBe(
    [
      `${file}:1:11  server.wokers  没有 \`wokers\` 这一项，是否想写 \`workers\`？`,
      `${file}:2:18  limits.fills  实际是：0，应为：至少 1\n`,
    ].join("\n"),
  );
  expect((await run("--lang", "fr")).thrown).toMatchObject({ code: "commander.invalidArgument" });
});

test("check ends with 1 for a missing file", async () => {
  const { out, exitCode } = await run("--config", file);
  expect(out).toMatch(/^\S+\/huiyuan\.yaml {2}no such settings file.*--config/);
  expect(exitCode).toBe(1);
});

test("the settings file in the help of check is good", async () => {
  const { out } = await run("--help");
  await writeFile(file, out.slice(out.indexOf("  projects:"), out.indexOf("\n\nExamples:")));
  expect((await run("--config", file)).out).toContain("is good: 1 project, 1 bucket, 1 domain, 1 origin");
});

test("check throws CommanderError for an unknown option, which ends the program with 2", async () => {
  const { thrown, err } = await run("--colour");
  expect(thrown).toMatchObject({ code: "commander.unknownOption" });
  expect(err).toContain("--colour");
});
