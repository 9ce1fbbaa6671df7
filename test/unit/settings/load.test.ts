import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { SettingsFaults } from "../../../src/settings/faults.ts";
import { loadSettings } from "../../../src/settings/load.ts";
import { namedFaults } from "../../../src/settings/setting-paths.ts";
import { faultsOf, MINIMAL, parse, siteOf, withBucket, withMirror, withOrigin } from "./parse.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-settings-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("parseSettings() fills in every default of the contract", () => {
  const settings = parse(withMirror(""));
  const { projects, ...root } = settings;
  expect(root).toEqual({
    server: {
      host: "0.0.0.0",
      port: 8080,
      adminHost: "127.0.0.1",
      adminHosts: [],
      adminPort: 8081,
      baseDomain: "localhost",
      publicPort: "auto",
      healthPath: "/.well-known/huiyuan",
      migrationFolders: [],
      drainDelay: 0,
      trustedProxies: [],
      accessLog: "misses",
    },
    data: "/etc/huiyuan/data",
    store: { type: "fs" },
    coordination: { type: "local" },
    limits: {
      memory: 256_000_000,
      disk: 20_000_000_000,
      objectSize: 20_971_520,
      imagePixels: 100_000_000,
      imageFrames: 300,
      renderTime: 5000,
      fills: 256,
      spoolMemory: 67_108_864,
      hotObjectSize: 2_097_152,
      freeDisk: 2_000_000_000,
      renders: "auto",
      perClient: { requestsPerSecond: 0, rendersPerSecond: 0, burst: 2 },
    },
  });
  expect(projects).toEqual([
    {
      appid: "10001234",
      enabled: true,
      acceptV1Signature: true,
      keys: [{ secretId: "AKID", secretKey: "SECRET", enabled: true }],
      buckets: [
        {
          name: "photos",
          access: "upload-download",
          token: "off",
          oneTimeDownloads: "reuse",
          referers: { mode: "off", domains: [], allowEmpty: true },
          cacheControl: "public, max-age=86400",
          signedCacheControl: "private",
          separators: ["!"],
          aliases: {},
          grammarEra: 2015,
          processing: "free",
          originalProtection: false,
          cors: ["*"],
          styles: {},
          domains: [
            {
              host: "img.example.com",
              mirror: {
                type: "originals",
                keyQuery: "drop",
                processedMiss: "local",
                headMiss: "origin",
                transparentErrors: false,
                negativeTtl: 30_000,
                passQuery: false,
                suspects: "pass",
                freshness: { mode: "never", ttl: 86_400_000, staleIfError: 604_800_000, onGone: "keep" },
                origins: [
                  {
                    type: "site",
                    url: "https://src.example.com",
                    host: "",
                    referer: "",
                    headers: {},
                    allowPrivate: false,
                    connections: 64,
                    requestsPerSecond: 0,
                    weight: 0,
                    standby: false,
                  },
                ],
                failoverOn: ["5xx", "timeout", "connect"],
                timeouts: { connect: 3000, firstByte: 10_000, idle: 10_000, total: 60_000 },
                breaker: { failures: 5, within: 10_000, open: 10_000 },
                maxKeys: 1_000_000,
                rules: [],
              },
            },
          ],
        },
      ],
    },
  ]);
});

test.each([
  ["off", true],
  ["allow", false],
  ["deny", true],
])("referers.allowEmpty defaults by mode %s to %s", (mode, allowEmpty) => {
  expect(parse(withBucket(`referers: { mode: ${mode} }`)).projects[0]?.buckets[0]?.referers.allowEmpty).toBe(
    allowEmpty,
  );
});

test.each([
  ["a list item", "buckets:\n  - name: a\n    token: off\n - name: b\n"],
  ["a key of a list item", "projects:\n  - appid: '1'\n   keys: []\n"],
  ["a key", "server:\n  port: 1\n data: x\n"],
])("parseSettings() says that the indentation of %s is wrong", (_what, text) => {
  expect(() => parse(text)).toThrow(/the indentation does not fit the lines around it/);
});

test("parseSettings() freezes everything", () => {
  const settings = parse(withMirror(""));
  const seen: unknown[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    seen.push(value);
    expect(Object.isFrozen(value), inspect(value)).toBe(true);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(settings);
  expect(seen.length).toBeGreaterThan(20);
});

test("parseSettings() normalizes hosts, and removes the last slash of origin URLs", () => {
  const settings = parse(
    withBucket(
      'domains: [{ host: "IMG.Example.com.:8080", mirror: { origins: [{ type: site, url: "https://h/base/" }] } }]',
    ),
  );
  const domain = settings.projects[0]?.buckets[0]?.domains[0];
  expect([domain?.host, siteOf(domain?.mirror)?.url]).toEqual(["img.example.com", "https://h/base"]);
});

test("parseSettings() resolves paths relative to the file's folder", () => {
  const settings = parse(`data: ../d\n${withBucket("notFound: { file: ./404.png }")}`, {
    files: { "/etc/huiyuan/404.png": "x" },
  });
  expect([settings.data, settings.projects[0]?.buckets[0]?.notFound?.file]).toEqual(["/etc/d", "/etc/huiyuan/404.png"]);
});

test("parseSettings() reads secrets from the environment and from files, without the final newline", () => {
  const text = `server: { adminToken: "file:token" }\n${withOrigin('url: "https://h", headers: { Authorization: "env:AUTH" }').replace("SECRET", "env:KEY")}`;
  const settings = parse(text, {
    env: { KEY: "k1", AUTH: "Basic abc" },
    files: { "/etc/huiyuan/token": "t0ken\n" },
  });
  const project = settings.projects[0];
  expect(settings.server.adminToken).toBe("t0ken");
  expect(project?.keys[0]?.secretKey).toBe("k1");
  expect(siteOf(project?.buckets[0]?.domains[0]?.mirror)?.headers.Authorization).toBe("Basic abc");
});

test.each([
  ["env:NOPE", "NOPE"],
  ["env:EMPTY", "EMPTY"],
  ["env:", "env:"],
  ["file:nope", "nope"],
  ["file:empty", "empty"],
  ["file:", "file:"],
])("parseSettings() refuses the secret %s at its place", (reference, named) => {
  const faults = faultsOf(MINIMAL.replace("SECRET", `"${reference}"`), {
    env: { EMPTY: "" },
    files: { "/etc/huiyuan/empty": "\n" },
  });
  expect(faults).toMatchObject([{ path: "projects[0].keys[0].secretKey", line: 3, column: 41 }]);
  expect(faults[0]?.message).toContain(named);
});

test("parseSettings() resolves a secret under a YAML alias once", () => {
  const text = `projects:
  - { appid: "1", keys: [{ secretId: A, secretKey: &secret "env:KEY" }] }
  - { appid: "2", keys: [{ secretId: B, secretKey: *secret }] }
`;
  const settings = parse(text, { env: { KEY: "env:not-again" } });
  expect(settings.projects.map((project) => project.keys[0]?.secretKey)).toEqual(["env:not-again", "env:not-again"]);
});

test("settings show no secret in JSON and inspect(), also the second time", () => {
  const text = `server: { adminToken: hush-token }\n${withOrigin('url: "https://h", headers: { Cookie: hush-cookie }').replace("SECRET", "hush-key")}`;
  for (const settings of [parse(text), parse(text)]) {
    expect(JSON.stringify(settings)).not.toContain("hush");
    expect(inspect(settings, { depth: 20 })).not.toContain("hush");
    expect(settings.projects[0]?.keys[0]?.secretKey).toBe("hush-key");
  }
});

test("parseSettings() never repeats a secret in a fault", () => {
  const hush = "hush-hush";
  const texts = [
    `server: { adminToken: "${hush} ${hush}" }\n${MINIMAL}`,
    MINIMAL.replace("{ secretId: AKID, secretKey: SECRET }", hush),
    MINIMAL.replace("[{ secretId: AKID, secretKey: SECRET }]", hush),
    MINIMAL.replace("SECRET", `[${hush}]`),
    MINIMAL.replace("SECRET", `!${hush}`),
    MINIMAL.replace("SECRET", `*${hush}`),
    MINIMAL.replace("SECRET", `"\\q${hush}"`),
    MINIMAL.replace("SECRET", `"${hush}" ${hush}`),
    MINIMAL.replace("SECRET", `|${hush}\n${hush}`),
    withOrigin(`url: "https://user:${hush}@h"`),
    withOrigin(`url: "https://h", headers: { Cookie: "${hush}\\n" }`),
    withOrigin(`url: "https://h", headers: { Range: "${hush}" }`),
  ];
  for (const text of texts) {
    const faults = faultsOf(text);
    expect(faults.length, text).toBeGreaterThan(0);
    expect(JSON.stringify(faults), text).not.toContain(hush);
  }
});

test("namedFaults() has no text of the file, wherever it stands, as value and as key", () => {
  const { projects } = parseYaml(
    withOrigin('url: "https://h", host: h, referer: r, headers: { A: b }, basicAuth: { username: u, password: p }'),
  );
  const server = {
    host: "::",
    port: 1,
    adminHost: "::",
    adminToken: "t".repeat(16),
    healthPath: "/h",
    accessLog: "off",
  };
  const bucket = { separators: ["!"], aliases: { a: "b" }, referers: { domains: ["a.b"] }, publicDomain: "a.example" };
  Object.assign(projects[0].buckets[0], bucket, {
    notFound: { file: "a" },
    callback: { url: "https://c", secret: "s" },
  });
  const paths: string[] = [];
  /** The tree with another value at each chosen place. */
  const changed = (node: unknown, isChosen: (path: string) => boolean, value: unknown, path = ""): unknown => {
    paths.push(path);
    if (isChosen(path)) return value;
    if (typeof node !== "object" || node === null) return node;
    const entries = Object.entries(node).map(([key, inner]) => [
      key,
      changed(inner, isChosen, value, `${path}/${key}`),
    ]);
    return Array.isArray(node) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
  };
  const tree = { server, data: "d", limits: { memory: "64MB" }, projects };
  changed(tree, () => false, undefined);
  const places = new Set(paths);
  const leaves = [...places].filter((path) => ![...places].some((each) => each.startsWith(`${path}/`)));
  const texts = [
    "hush-hush",
    "a:hush",
    "x, wanted hush",
    "env:hush",
    "file:hush",
    "http://u:hush@h/",
    "http://hush/?a",
  ];
  for (const hush of texts)
    for (const value of [hush, [hush], { [hush]: null }])
      for (const chosen of hush === texts[2] ? [leaves, ...[...places].map((path) => [path])] : [leaves]) {
        const isChosen = (path: string) => chosen.includes(path) && !path.endsWith("/type");
        const faults = faultsOf(JSON.stringify(changed(tree, isChosen, value)));
        expect(namedFaults({ file: "f", faults }), JSON.stringify(faults)).not.toContain("hush");
      }
  const everyKey = JSON.stringify(tree).replaceAll("{", '{"hush: hush":1,').replaceAll(",}", "}");
  expect(namedFaults({ file: "f", faults: faultsOf(everyKey) })).not.toContain("hush");
  expect(faultsOf(everyKey).length).toBeGreaterThan(8);
});

test("parseSettings() reads nothing below `data`, and `data` has not the settings file", () => {
  const files = { "/etc/huiyuan/data/key": "k", "/etc/huiyuan/data/a.png": "p", "/etc/huiyuan/a.html": "k" };
  const at = (text: string) => faultsOf(text, { files }).map(({ path }) => path);
  expect(at(MINIMAL.replace("SECRET", "file:data/key"))).toEqual(["projects[0].keys[0].secretKey"]);
  expect(at(withBucket("notFound: { file: data/a.png }"))).toEqual(["projects[0].buckets[0].notFound.file"]);
  expect(at(`data: /etc/huiyuan/other\n${withBucket("notFound: { file: data/a.png }")}`)).toEqual([]);
  expect(at(`server: { migrationFolders: [/srv, /etc/huiyuan/data/x] }\n${MINIMAL}`)).toEqual([
    "server.migrationFolders[1]",
  ]);
  for (const data of [".", "/etc", "/"]) expect(at(`data: ${data}\n${MINIMAL}`)).toEqual(["data"]);
  // A page may be read by everyone, so no secret has the name of one.
  expect(at(MINIMAL.replace("SECRET", "file:a.html"))).toEqual(["projects[0].keys[0].secretKey"]);
});

test("loadSettings() follows links into `data`", async () => {
  await mkdir(join(folder, "data"));
  await writeFile(join(folder, "data", "key"), "k");
  await symlink("data", join(folder, "elsewhere"));
  const file = join(folder, "huiyuan.yaml");
  const messageOf = () => loadSettings(file, { env: {} }).then(() => "", String);
  await writeFile(file, MINIMAL.replace("SECRET", "file:elsewhere/key"));
  expect(await messageOf()).toContain("below `data`");
  await symlink(folder, join(folder, "back"));
  await writeFile(file, `data: back\n${MINIMAL}`);
  expect(await messageOf()).toContain("the settings file lies in this folder");
  await rename(file, join(folder, "real.yaml"));
  await symlink("../real.yaml", join(folder, "data", "huiyuan.yaml"));
  await writeFile(join(folder, "real.yaml"), MINIMAL.replace(/^/, "data: .\n"));
  const linked = loadSettings(join(folder, "data", "huiyuan.yaml"), { env: {} }).then(() => "", String);
  expect(await linked).toContain("the settings file lies in this folder");
});

test("loadSettings() reads a file and its secrets", async () => {
  await writeFile(join(folder, "key"), "from-file\n");
  await writeFile(join(folder, "huiyuan.yaml"), MINIMAL.replace("SECRET", '"file:key"'));
  const settings = await loadSettings(join(folder, "huiyuan.yaml"), { env: {} });
  expect(settings.projects[0]?.keys[0]?.secretKey).toBe("from-file");
});

test.each([
  ["a file over 1 MiB", Buffer.alloc(1_048_577, "#")],
  ["bytes that are not UTF-8", Buffer.from([0xff, 0xfe, 0x00])],
])("loadSettings() throws SettingsFaults for %s", async (_, content) => {
  const file = join(folder, "huiyuan.yaml");
  await writeFile(file, content);
  const error = await loadSettings(file, { env: {} }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SettingsFaults);
  expect(error).toMatchObject({ code: "settings_invalid", faults: [{ path: "", line: 1, column: 1 }] });
});

test("loadSettings() reports a missing file without a position, and says how to begin", async () => {
  const file = join(folder, "huiyuan.yaml");
  const error = await loadSettings(file, { env: {} }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SettingsFaults);
  expect(error).toMatchObject({ code: "settings_invalid", faults: [{ path: "", line: 0, column: 0 }] });
  const { message } = error as SettingsFaults;
  for (const way of [`${file}  no such settings file`, "--config", "huiyuan serve --new", "huiyuan try"]) {
    expect(message).toContain(way);
  }
});

test.each([
  ["a folder, a pipe or a device", (file: string) => execFileSync("mkfifo", [file])],
  ["a folder, a pipe or a device", (file: string) => mkdir(file)],
  ["larger than 1048576 bytes", (file: string) => writeFile(file, Buffer.alloc(1_048_577, "#"))],
])("loadSettings() says that a file is %s, without reading it", async (said, make) => {
  const file = join(folder, "huiyuan.yaml");
  await make(file);
  const error = await loadSettings(file, { env: {} }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "settings_invalid", faults: [{ path: "", message: `the file is ${said}` }] });
});
