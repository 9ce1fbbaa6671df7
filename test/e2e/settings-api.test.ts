// The settings file over the admin API of the built program: read, propose, apply, and the key pairs of projects. The
// file is a commented one, as operators keep it.
import { createHash } from "node:crypto";
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";

const TOKEN = "the-token-of-the-admin-port";
const SECRET = "a-literal-secret-key-of-the-file";
/** Root ignores permissions, except without this capability. */
const WITHOUT_RIGHT = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
const BUCKET = ["projects", 0, "buckets", 0];

const TEXT = (origin: string) => `# The shop's mirror; secretKey: an-old-secret
server: { host: 127.0.0.1, port: 0, adminPort: 0, accessLog: off, adminToken: ${TOKEN} } # loopback
limits: { freeDisk: 1MB }
projects:
  - appid: "10001234"
    keys:
      - { secretId: AKIDONE, secretKey: "${SECRET}" }   # the first
    buckets:
      - name: photos
        cacheControl:   "max-age=1"   # short
        domains:
          - host: "*"
            mirror:
              # the shop
              origins: [{ type: site, url: "${origin}", allowPrivate: true, headers: { X-Key: env:ORIGIN_KEY } }]
        callback: { url: "https://app.example.com/", secret: file:callback.key }
`;

let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

/** The output before this test. */
let saidBefore = 0;

beforeAll(async () => {
  const jpeg = await noisyJpeg(24, 24);
  origin = await startScriptedOrigin(async (_request, connection) => connection.send(response(jpeg)));
  installation = await install({});
  await writeFiles();
  program = await installation.start({ env: ENV });
}, 60_000);
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await origin?.close();
});
beforeEach(async () => {
  for (const name of await readdir(installation.folder))
    if (name !== "data" && name !== "huiyuan.yaml") await rm(join(installation.folder, name), { recursive: true });
  await writeFiles();
  const isRestored = async () => {
    const { isInForce, refusal, faults } = await read();
    return isInForce && refusal === undefined && faults.length === 0;
  };
  await eventually(isRestored, "the settings of the test's begin are in force", 30_000);
  saidBefore = program.output.length;
});

const ENV = { ORIGIN_KEY: "the-key-of-the-origin" };
async function writeFiles() {
  await writeFile(join(installation.folder, "callback.key"), "the-secret-of-the-callback\n");
  // Replaces a link too, and never shows half a file to the server.
  await writeFile(`${installation.file}.new`, TEXT(origin.url));
  await rename(`${installation.file}.new`, installation.file);
}
/** The lines that the program has printed in this test. */
const output = () => program.output.slice(saidBefore);

async function call(method: "GET" | "POST", path: string, body?: object) {
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: JSON.parse(text) };
}
const read = async () => (await call("GET", "/settings")).json;
const edit = (path: "propose" | "apply", version: string, edits: readonly object[]) =>
  call("POST", `/settings/${path}`, { version, edits });
const bytes = () => readFile(installation.file, "utf8");
/** The header of a stored image; that of a fill may be shorter. */
async function cacheControl() {
  const ask = () => get({ port: program.downloadPort, path: "/a.jpg", host: "any.example" });
  await eventually(async () => String((await ask()).headers["cache-status"]).includes("hit"), "a hit");
  return (await ask()).headers["cache-control"];
}
const SECRETS = [TOKEN, SECRET, "an-old-secret", "the-key-of-the-origin", "the-secret-of-the-callback"];
const expectNoSecrets = (text: string) => expect(SECRETS.filter((secret) => text.includes(secret))).toEqual([]);

test("GET /settings shows the file without secrets, its version and its state", async () => {
  const { status, text, json } = await call("GET", "/settings");
  expect(status).toBe(200);
  expectNoSecrets(text);
  expect(json).toMatchObject({
    file: installation.file,
    version: createHash("sha256")
      .update(await bytes())
      .digest("hex"),
    isInForce: true,
    ...{ faults: [], warnings: [], needsRestart: [] },
    settings: {
      server: { adminToken: "[secret]", accessLog: "off" },
      projects: [
        {
          keys: [{ secretId: "AKIDONE", secretKey: "[secret]" }],
          buckets: [
            {
              callback: { secret: "file:callback.key" },
              domains: [{ mirror: { origins: [{ headers: { "X-Key": "env:ORIGIN_KEY" } }] } }],
            },
          ],
        },
      ],
    },
  });
  expect([json.readOnly, json.refusal]).toEqual([undefined, undefined]);
});

test("a file that the server refuses shows its faults, and a misspelt key hides its value", async () => {
  const { version } = await read();
  await writeFile(installation.file, (await bytes()).replace('secretKey: "', 'secretkey: "'));
  await eventually(async () => (await read()).refusal !== undefined, "the reload was refused");
  const { text, json } = await call("GET", "/settings");
  expectNoSecrets(text);
  expect(json).toMatchObject({ isInForce: false, faults: [{ path: "projects[0].keys[0].secretkey", line: 7 }] });
  expect(json.version).not.toBe(version);
  // An edit may mend it.
  const keys = ["projects", 0, "keys", 0];
  const mended = [{ path: [...keys, "secretkey"] }, { path: [...keys, "secretKey"], value: "another-secret-key" }];
  expect((await edit("apply", json.version, mended)).json).toMatchObject({ isInForce: true });
  expect(await read()).toMatchObject({ isInForce: true, faults: [] });
});

test("a refused reload is named on /readyz, in the log and the overview, without text of the file", async () => {
  const faulty = ['username: "mirror:PASSWORD", password: p', "PASSWORD: 1", '"X: PASSWORD": { }'];
  for (const [index, keys] of faulty.entries()) {
    const auth = index === 2 ? `headers: { ${keys} }` : `basicAuth: { ${keys} }`;
    await writeFile(installation.file, TEXT(origin.url).replace("headers: { X-Key: env:ORIGIN_KEY }", auth));
    const readyz = async () =>
      (await get({ port: program.adminPort, path: "/readyz", host: "localhost" })).body.toString();
    const place = `mirror.origins[0].${index === 2 ? "headers" : "basicAuth"}`;
    await eventually(async () => (await readyz()).includes(place), "the fault is reported");
    if (index === 0) expect(await readyz()).toContain(`${place}.username  wanted a name without a colon`);
    const answers = [await readyz(), output(), (await call("GET", "/overview")).text, (await read()).refusal];
    for (const text of answers) {
      expect(text).toContain(place);
      expect(text).not.toContain("PASSWORD");
    }
  }
});

test("propose answers with diff, faults, warnings and restarts, and writes nothing", async () => {
  const { version } = await read();
  const before = await bytes();
  const { status, text, json } = await edit("propose", version, [
    { path: ["server", "port"], value: 8080 },
    { path: ["projects", 0, "keys", 0, "secretKey"], value: "a-new-secret-key" },
    { path: [...BUCKET, "processing"], value: "aliases" },
  ]);
  expect(status).toBe(200);
  expectNoSecrets(text);
  expect(text).not.toContain("a-new-secret-key");
  expect(json).toEqual({
    faults: [],
    warnings: [expect.stringContaining("bucket photos has processing: aliases")],
    needsRestart: ["server.port"],
    diff: [
      "@@ -1,10 +1,10 @@",
      " # …",
      "-server: { host: 127.0.0.1, port: 0, adminPort: 0, accessLog: off, adminToken: [secret] } # …",
      "+server: { host: 127.0.0.1, port: 8080, adminPort: 0, accessLog: off, adminToken: [secret] } # …",
      ...[" limits: { freeDisk: 1MB }", " projects:", '   - appid: "10001234"', "     keys:"],
      "-      - { secretId: AKIDONE, secretKey: [secret] }   # …",
      "+      - { secretId: AKIDONE, secretKey: [secret] }   # …",
      ...["     buckets:", "       - name: photos", '         cacheControl:   "max-age=1"   # …'],
      "@@ -14,3 +14,4 @@",
      "               # …",
      '               origins: [{ type: site, url: "' +
        origin.url +
        '", allowPrivate: true, headers: { X-Key: env:ORIGIN_KEY } }]',
      '         callback: { url: "https://app.example.com/", secret: file:callback.key }',
      "+        processing: aliases",
    ],
  });
  const faulty = await edit("propose", version, [
    { path: [...BUCKET, "styles"], value: { "a b": "imageView2/2" } },
    { path: ["projects", 0, "buckets", 1], value: { name: "photos" } },
  ]);
  expect(faulty.json.faults).toEqual([
    {
      path: 'projects[0].buckets[0].styles["a b"]',
      line: 18,
      column: 11,
      message: expect.any(String),
      zh: expect.any(String),
    },
    {
      path: "projects[0].buckets[1].name",
      line: 19,
      column: 15,
      message: '"photos" is used before, wanted another name',
      zh: '"photos" 前面已经用过，应换一个 name',
    },
  ]);
  expect(await bytes()).toBe(before);
});

test("apply keeps comments, mode, owner and link, and is in force when it answers", async () => {
  const real = join(installation.folder, "real.yaml");
  await rename(installation.file, real);
  await symlink("real.yaml", installation.file);
  await chmod(real, 0o640);
  if (process.getuid?.() === 0) await chown(real, 1234, 4321);
  const { uid, gid } = await stat(real);
  const { version } = await read();
  const before = await bytes();
  expect(await cacheControl()).toBe("max-age=1");
  const { status, json } = await edit("apply", version, [
    { path: [...BUCKET, "cacheControl"], value: "public, max-age=77" },
    { path: ["projects", 0, "keys", 0, "secretKey"], value: "a-new-secret-key" },
  ]);
  expect([status, json.isInForce]).toEqual([200, true]);
  expect(await cacheControl()).toBe("public, max-age=77");
  const after = await bytes();
  expect(after).toBe(before.replace('"max-age=1"', '"public, max-age=77"').replace(SECRET, "a-new-secret-key"));
  expect(json.version).toBe(createHash("sha256").update(after).digest("hex"));
  expect((await stat(real)).mode & 0o777).toBe(0o640);
  expect(await stat(real)).toMatchObject({ uid, gid });
  expect((await lstat(installation.file)).isSymbolicLink()).toBe(true);
  expect((await readdir(installation.folder)).sort()).toEqual(["callback.key", "data", "huiyuan.yaml", "real.yaml"]);
  const line =
    output()
      .split("\n")
      .find((each) => each.includes("settings apply")) ?? "";
  expect(JSON.parse(line)).toMatchObject({
    outcome: "done",
    audit: { edits: 2, paths: ["projects.0.buckets.0.cacheControl", "projects.0.keys.0.secretKey"] },
  });
  expect(output()).not.toContain("a-new-secret-key");
  expect(output()).not.toContain("max-age=77");
});

test("apply refuses another version with 409, also if two come at once", async () => {
  const { version } = await read();
  await writeFile(installation.file, `${await bytes()}# by hand\n`);
  const stale = await edit("apply", version, [{ path: ["data"], value: "./data" }]);
  expect([stale.status, stale.json.message]).toEqual([409, expect.stringContaining("has changed")]);
  expect((await edit("propose", version, [{ path: ["data"], value: "./data" }])).status).toBe(409);
  expect(await bytes()).toContain("# by hand");
  const { version: current } = await read();
  const values = ["max-age=2", "max-age=3", "max-age=4"];
  const answers = await Promise.all(
    values.map((value) => edit("apply", current, [{ path: [...BUCKET, "cacheControl"], value }])),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
  expect(await bytes()).toContain(values[answers.findIndex(({ status }) => status === 200)]);
});

test("apply refuses faults with 400, and a mask is one", async () => {
  const { version } = await read();
  const before = await bytes();
  const edits = [
    { path: ["projects", 0, "keys", 0, "secretKey"], value: "[secret]" },
    { path: ["server", "nonsense"], value: 1 },
  ];
  const { status, json } = await edit("apply", version, edits);
  expect([status, json.code]).toEqual([400, -103]);
  expect(json.faults).toMatchObject([
    { path: "server.nonsense", line: 2, column: expect.any(Number), message: expect.stringContaining("unknown key") },
    { path: "projects[0].keys[0].secretKey", line: 7, column: 41, message: expect.stringContaining("found [secret]") },
  ]);
  expect(await bytes()).toBe(before);
  const failed =
    output()
      .split("\n")
      .find((each) => each.includes("settings apply")) ?? "{}";
  expect(JSON.parse(failed)).toMatchObject({ outcome: "failed" });
});

test.each([
  { what: "a misspelt field", edits: [{ path: ["data"], vale: 1 }] },
  { what: "no edit", edits: [] },
  { what: "an empty path", edits: [{ path: [], value: 1 }] },
  { what: "a path that the file lacks", edits: [{ path: ["nothing", "there"] }] },
  { what: "deep nesting", edits: [{ path: ["data"], value: JSON.parse(`${"[".repeat(30)}${"]".repeat(30)}`) }] },
  { what: "too many values", edits: [{ path: ["data"], value: Array.from({ length: 5_000 }, () => 1) }] },
  { what: "too many edits", edits: Array.from({ length: 101 }, () => ({ path: ["data"], value: "x" })) },
])("$what is refused with 400", async ({ edits }) => {
  const { version } = await read();
  const before = await bytes();
  expect((await edit("apply", version, edits)).status).toBe(400);
  expect(await bytes()).toBe(before);
});

test("a read-only file or folder is shown as such, and refused with 403", async () => {
  await program.kill();
  program = await installation.start({ env: ENV, wrap: WITHOUT_RIGHT });
  const { version } = await read();
  for (const [path, mode] of [
    [installation.file, 0o444],
    [installation.folder, 0o555],
  ] as const) {
    const usual = (await stat(path)).mode;
    await chmod(path, mode);
    expect((await read()).readOnly).toContain("read-only (EACCES)");
    const { status, json } = await edit("apply", version, [{ path: [...BUCKET, "cacheControl"], value: "max-age=2" }]);
    expect([status, json.message]).toEqual([403, expect.stringContaining("read-only")]);
    await chmod(path, usual);
  }
  expect((await read()).readOnly).toBeUndefined();
  expect(await bytes()).toBe(TEXT(origin.url));
  // The next test gets its rights back.
  await program.kill();
  program = await installation.start({ env: ENV });
});

test("names of files outside of the folder and of variables are refused with 403", async () => {
  const { folder } = installation;
  await writeFile(join(folder, "page.html"), "<p>none");
  await writeFile(join(folder, "other.key"), "another-secret\n");
  await symlink("/etc", join(folder, "out"));
  await mkdir(join(folder, "sub"));
  const { version } = await read();
  const status = async (path: readonly (string | number)[], value: unknown) =>
    (await edit("propose", version, [{ path: [...path], value }])).status;
  await writeFile(join(folder, "page.txt"), "none");
  await symlink("callback.key", join(folder, "linked.html"));
  await writeFile(join(folder, "data", "page.html"), "<p>none");
  const page = [...BUCKET, "notFound", "file"];
  const secret = [...BUCKET, "callback", "secret"];
  const header = [...BUCKET, "domains", 0, "mirror", "origins", 0, "headers", "X-More"];
  const refused = [
    ...[
      "/etc/hostname",
      "../page.html",
      "out/issue.txt",
      "out/none.html",
      "huiyuan.yaml",
      "callback.key",
      "data/a.db",
      "page.txt",
      "linked.html",
      "other.key",
    ].map((path) => status(page, path)),
    ...["file:/etc/hostname", "file:../a", "file:out/hostname", "file:huiyuan.yaml", "env:PATH"].map((value) =>
      status(secret, value),
    ),
    // A secret of another place would reach another receiver here.
    ...["file:callback.key", "env:PATH", "env:ORIGIN_KEY"].map((value) => status(header, value)),
    ...["file:other.key", "file:./callback.key"].map((value) => status(secret, value)),
    status([...header.slice(0, -3), 1], {
      ...{ type: "site", url: "https://mine.example" },
      basicAuth: { username: "", password: "file:callback.key" },
    }),
    status([...BUCKET, "name"], "env:PATH"),
    status(["data"], "sub"),
    status([...BUCKET, "callback"], { url: "https://app.example.com/", secret: "env:PATH" }),
    status(["data"], "/var/lib"),
    status(["server", "migrationFolders"], ["/"]),
    status(["server", "migrationFolders", 0], folder),
  ];
  expect(await Promise.all(refused)).toEqual(refused.map(() => 403));
  const allowed = [
    status(page, "page.html"),
    status(secret, "file:callback.key"),
    // The origin keeps its variable.
    status([...header.slice(0, -1), "X-Key"], "env:ORIGIN_KEY"),
    status(header.slice(0, -1), { "X-Key": "env:ORIGIN_KEY" }),
    // All references move up.
    status(BUCKET, undefined),
  ];
  expect(await Promise.all(allowed)).toEqual(allowed.map(() => 200));
  const below = (await edit("propose", version, [{ path: page, value: "data/page.html" }])).json;
  expect(below.faults).toMatchObject([{ message: expect.stringContaining("below `data`") }]);
});

test("a secret that the caller does not know goes to no other address", async () => {
  const other = { url: "http://mine.example", allowPrivate: true };
  const mirror = [...BUCKET, "domains", 0, "mirror"];
  const first = [...mirror, "origins", 0];
  const password = "a-literal-password";
  await writeFile(
    installation.file,
    TEXT(origin.url).replace(
      "headers: { X-Key: env:ORIGIN_KEY } }]",
      `headers: { X-Key: env:ORIGIN_KEY } }, { type: site, url: "http://other.example" }]
              rules:
                - setQuery: { key: file:callback.key }
                  origins: [{ type: site, url: "${origin.url}", allowPrivate: true,
                    basicAuth: { username: mirror, password: ${password} } }]`,
    ),
  );
  await eventually(async () => (await read()).isInForce, "the origins are in force");
  const { version } = await read();
  const rule = [...mirror, "rules", 0];
  const status = async (...edits: readonly object[]) => (await edit("propose", version, edits)).status;
  const inRule = [...rule, "origins", 0];
  const refused = [
    status({ path: [...first, "url"], value: other.url }),
    status({ path: [...first, "url"], value: `${origin.url}0` }),
    status({ path: [...first, "host"], value: "mine.example" }),
    status({ path: first, value: { type: "site", ...other, headers: { "X-Key": "env:ORIGIN_KEY" } } }),
    // The other origin takes the place of the first one.
    status({ path: first }, { path: [...first, "headers"], value: { "X-Key": "env:ORIGIN_KEY" } }),
    status({ path: [...inRule, "url"], value: other.url }),
    status({ path: [...rule, "origins"] }),
    status({ path: [...rule, "origins", 1], value: { type: "qiniu", domain: other.url } }),
    status({ path: [...rule, "setQuery"] }, { path: [...inRule, "url"], value: other.url }),
  ];
  expect(await Promise.all(refused)).toEqual(refused.map(() => 403));
  const known = [
    { path: [...rule, "setQuery"] },
    { path: [...inRule, "url"], value: other.url },
    { path: [...inRule, "basicAuth", "password"], value: "another-password" },
  ];
  const allowed = [
    status({ path: [...first, "url"], value: `${origin.url}/below` }),
    status({ path: [...mirror, "origins", 1, "url"], value: other.url }),
    status({ path: [...first, "headers"] }, { path: [...first, "url"], value: other.url }),
    status({ path: first }),
    status(...known),
  ];
  expect(await Promise.all(allowed)).toEqual(allowed.map(() => 200));
  const { message } = (await edit("apply", version, known.slice(0, 2))).json;
  expect(message).toContain("rules[0].origins[0].basicAuth.password would be sent to another address");
  expect(message).not.toContain(password);
});

test("a secret's file that the settings name no more is no page of the next edit", async () => {
  const name = "callback.txt";
  await rename(join(installation.folder, "callback.key"), join(installation.folder, name));
  await writeFile(installation.file, TEXT(origin.url).replace("callback.key", name));
  await eventually(async () => (await read()).isInForce, "the new name is in force");
  const { version } = await read();
  const { json } = await edit("apply", version, [{ path: [...BUCKET, "callback"] }]);
  expect(json).toMatchObject({ isInForce: true });
  const page = [{ path: [...BUCKET, "notFound", "file"], value: name }];
  expect((await edit("apply", json.version, page)).status).toBe(403);
});

test("keys: add shows the new key once, rotate replaces one, remove takes one away", async () => {
  const keys = async () => (await call("GET", "/settings/keys")).json.projects;
  const [ONE] = [{ secretId: "AKIDONE", secretKey: "[secret]", isEnabled: true }];
  expect(await keys()).toEqual([{ appid: "10001234", keys: [ONE] }]);
  const change = (operation: string, input: object) =>
    call("POST", `/settings/keys/${operation}`, { appid: "10001234", ...input });

  const added = await change("add", {});
  expect(added.json).toMatchObject({ isInForce: true, secretId: expect.stringMatching(/^AKID\w{32}$/) });
  const { secretId, secretKey } = added.json;
  expect(secretKey).toMatch(/^\w{43}$/);
  expect(await bytes()).toContain(
    `"${SECRET}" }   # the first\n      - secretId: ${secretId}\n        secretKey: ${secretKey}\n`,
  );
  expect(added.json.diff.join("\n")).not.toContain(secretKey);
  expect(await keys()).toMatchObject([{ keys: [ONE, { secretId, secretKey: "[secret]" }] }]);
  expect((await change("add", {})).json).toMatchObject({ code: -103, faults: [{ path: "projects[0].keys" }] });

  const rotated = await change("rotate", { secretId: "AKIDONE" });
  expect(rotated.json.secretId).not.toBe(secretId);
  expect(await keys()).toMatchObject([{ keys: [{ secretId: rotated.json.secretId }, { secretId }] }]);
  expect(await bytes()).toContain("# the first");
  expect(await bytes()).not.toContain(SECRET);

  const removed = await change("remove", { secretId });
  expect([removed.status, removed.json.secretKey]).toEqual([200, undefined]);
  expect((await change("remove", { secretId })).status).toBe(400);
  expect((await change("remove", { secretId: rotated.json.secretId })).json.faults).toHaveLength(1);
  expect((await call("POST", "/settings/keys/add", { appid: "1" })).status).toBe(400);
  expect(await keys()).toMatchObject([{ keys: [{ secretId: rotated.json.secretId }] }]);
  expect(output()).toContain('"operation":"settings keys rotate"');
  for (const secret of [secretKey, rotated.json.secretKey]) expect(output()).not.toContain(secret);
});
