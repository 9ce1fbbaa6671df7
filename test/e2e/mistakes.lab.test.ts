// The ten likeliest mistakes of an operator: the program ends with one line that says what to do.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { type Ended, huiyuan, install } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";

const HOST = "img.example.com";

let folder: string;
let file: string;
let taken: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-mistakes-"));
  file = join(folder, "huiyuan.yaml");
  taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
});
afterAll(async () => {
  taken?.close();
  await rm(folder, { recursive: true, force: true });
});

const write = (settings: object) => writeFile(file, JSON.stringify(settings, null, 2));
/** Settings of one bucket with one domain, whose mirror has this origin. */
const withOrigin = (origin: object, mirror: object = { origins: [{ type: "site", ...origin }] }) =>
  oneBucket(undefined, { domains: [{ host: HOST, mirror }] });

/** The only line that the command printed; it ended with `code`. */
function onlyLine({ code, out, err }: Ended, expected: number): string {
  const lines = `${out}${err}`.trimEnd().split("\n");
  expect([code, lines.length, lines]).toEqual([expected, 1, [expect.any(String)]]);
  return lines[0] ?? "";
}

/** `says`: parts of the line that `check` prints for the settings. */
const FAULTS: readonly (readonly [mistake: string, settings: () => object, says: readonly string[]])[] = [
  [
    "an unset variable",
    () => ({ projects: [{ appid: APPID, keys: [{ secretId: "A", secretKey: "env:PHOTOS_KEY" }], buckets: [] }] }),
    ["projects[0].keys[0].secretKey", "PHOTOS_KEY is not set", "export PHOTOS_KEY=…"],
  ],
  [
    "a misspelt key",
    () => withOrigin({}, { orgins: [{ type: "site", url: "https://www.example.com" }] }),
    ["mirror.orgins", "unknown key `orgins`; did you mean `origins`?"],
  ],
  [
    "a private origin",
    () => withOrigin({ url: "http://10.0.0.7:8000" }),
    ["origins[0].url", "10.0.0.7 is a private address", "add `allowPrivate: true`"],
  ],
  [
    "an own domain as the origin",
    () => withOrigin({ url: `https://${HOST}` }),
    ["origins[0].url", `${HOST} is a domain of this server`, "loop", `\`host: ${HOST}\``],
  ],
  [
    "the own port as the origin",
    () => ({ server: { port: 8080 }, ...withOrigin({ url: "http://127.0.0.1:8080", allowPrivate: true }) }),
    ["origins[0].url", "127.0.0.1:8080 is this server itself", "loop"],
  ],
  [
    "a reserved address",
    () => withOrigin({ url: "http://169.254.169.254" }),
    ["origins[0].url", "169.254.169.254 is a reserved address", "write a public or a private one"],
  ],
  [
    "an open admin port without a token",
    () => ({ server: { adminHost: "0.0.0.0" }, ...oneBucket(undefined) }),
    ["server.adminToken", "adminHost 0.0.0.0 is not loopback", "export HUIYUAN_ADMIN_TOKEN=…"],
  ],
];

test.each(FAULTS)("%s is one line of check and of serve, with its place in the file", async (_, settings, says) => {
  await write(settings());
  const [checked, served] = [await huiyuan(["check", "-c", file]), await huiyuan(["serve", "-c", file])];
  const line = onlyLine(checked, 1);
  expect(line).toMatch(new RegExp(`^${file}:\\d+:\\d+ `));
  for (const part of says) expect(line).toContain(part);
  expect(onlyLine(served, 1)).toBe(`huiyuan: ${line}`);
});

test.each([["serve"], ["check"], ["sign", "upload"]])(
  "%s without a settings file says how to begin",
  async (...args) => {
    const line = onlyLine(await loadedHuiyuan([...args, "-c", join(folder, "none.yaml")]), 1);
    for (const part of [`${folder}/none.yaml`, "--config FILE", "huiyuan serve --new", "huiyuan try"])
      expect(line).toContain(part);
  },
);

test.each(["port", "adminPort"])("a used server.%s is named, with the way to find who uses it", async (name) => {
  const { port } = taken.address() as AddressInfo;
  const data = join(folder, name);
  await write({ ...oneBucket(undefined), server: { host: "127.0.0.1", port: 0, adminPort: 0, [name]: port }, data });
  const line = onlyLine(await loadedHuiyuan(["serve", "-c", file]), 1);
  for (const part of [`127.0.0.1:${port}`, `ss -ltnp | grep :${port}`, `change server.${name} in ${file}`])
    expect(line).toContain(part);
});

/** Root may use any port, so that the test drops this right. */
const WITHOUT_RIGHT = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-net_bind_service"] : [];
const FIRST_FREE_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const isAnyPortFree = !existsSync(FIRST_FREE_PORT) || Number(readFileSync(FIRST_FREE_PORT)) < 1024;

test.skipIf(isAnyPortFree)("a port below 1024 without the right to it says what to do", async () => {
  const installation = await install({ ...oneBucket(undefined), server: { port: 1023 } });
  try {
    const says = /127\.0\.0\.1:1023: ports below 1024 need root or CAP_NET_BIND_SERVICE; use another port, or nginx/;
    await expect(installation.start({ wrap: WITHOUT_RIGHT })).rejects.toThrow(says);
  } finally {
    await installation.remove();
  }
});

test("explain for an unknown host says where to add it", async () => {
  const server = { port: 0, adminPort: await freePort() };
  await write({ ...oneBucket(undefined, { domains: [{ host: HOST }] }), server, data: join(folder, "unknown") });
  const { code, out } = await loadedHuiyuan(["explain", "http://other.example.com/a.jpg", "-c", file]);
  expect([code, out]).toEqual([1, expect.stringMatching(/"other\.example\.com": .*add it under `domains`/)]);
});

test("sign for an unknown host lists a few of the known ones", async () => {
  const hosts = Array.from({ length: 8 }, (_, index) => `img${index}.example.com`);
  await write(oneBucket(undefined, { domains: hosts.map((host) => ({ host })) }));
  const line = onlyLine(await loadedHuiyuan(["sign", "download", "http://other.example.com/a.jpg", "-c", file]), 2);
  for (const part of ["other.example.com is no domain", file, "img0.example.com", "4 more", "--bucket"])
    expect(line).toContain(part);
});

test.each([["download"], ["upload"], ["copy"], ["delete"]])(
  "sign %s of a path with a leading slash warns, and signs",
  async (operation) => {
    await write(oneBucket(undefined));
    const { code, out, err } = await loadedHuiyuan(["sign", operation, "/2015/cat.jpg", "--json", "-c", file]);
    expect([code, JSON.parse(out).fileid]).toEqual([0, "/2015/cat.jpg"]);
    expect(err).toMatch(/^warning: .*"\/\/2015\/cat\.jpg".* write 2015\/cat\.jpg, .*\n$/);
  },
);

test("a whole URL with two slashes is signed without a warning", async () => {
  await write(oneBucket(undefined));
  const { code, err } = await loadedHuiyuan(["sign", "download", "http://any.example//a.jpg", "-c", file]);
  expect([code, err]).toEqual([0, ""]);
});

test("a command without the admin token says which variable to set, and works with it", async () => {
  const token = "correct-horse-battery";
  const settings = { ...oneBucket(mirrorOf("http://127.0.0.1:9009")), server: { adminToken: token } };
  const installation = await install(settings);
  const program = await installation.start();
  try {
    const ls = ["ls", "--admin", `http://127.0.0.1:${program.adminPort}`];
    const line = onlyLine(await loadedHuiyuan(ls), 1);
    expect(line).toContain("export HUIYUAN_ADMIN_TOKEN=…");
    const env = { HUIYUAN_ADMIN_TOKEN: token };
    expect((await loadedHuiyuan(ls, { env })).code).toBe(0);
    // Settings without the token name the server too.
    const server = { adminPort: program.adminPort };
    await write({ ...oneBucket(undefined), server, data: join(folder, "other") });
    expect((await loadedHuiyuan(["ls", "-c", file], { env })).code).toBe(0);
    // A restore needs a stopped server.
    await mkdir(join(folder, "backups"));
    expect((await loadedHuiyuan(["backup", join(folder, "backups"), "-c", installation.file])).code).toBe(0);
    const restored = await loadedHuiyuan(["restore", join(folder, "backups"), "-c", installation.file]);
    expect(onlyLine(restored, 1)).toContain("stop it first");
  } finally {
    await program.stop();
    await installation.remove();
  }
});

test("huiyuan without arguments prints the help, with its groups", async () => {
  const [bare, help] = [await loadedHuiyuan([]), await loadedHuiyuan(["--help"])];
  expect(bare).toEqual({ code: 0, out: help.out, err: "" });
  expect(help.out.match(/^\S.*:$/gm)).toEqual([
    ...["Options:", "Try it:", "Set it up and run it:", "See what it does:", "Change what it stores and sends:"],
    ...["Back it up:", "Get help:", "Examples:"],
  ]);
  const wrong = await loadedHuiyuan(["serv"]);
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("Did you mean serve?")]);
});
