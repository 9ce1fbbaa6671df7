// Migrations into a running server with the built program: by the command through the admin API, and as jobs that the
// server runs itself.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat as statFile, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, huiyuan, type Installation, install, PROGRAM, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { blobWith, damageBlob } from "../helpers/stored-blobs.ts";

/** On a busy machine each start of the program takes seconds. */
const SLOW = { timeout: 300_000 };
const TOKEN = "the-token-of-the-admin-port";
const COUNT = 300;

let base: Buffer;
let origin: ScriptedOrigin;
let requests: string[];
let installation: Installation;
let program: Program;
let adminPort: number;
let photos: string;

beforeEach(async () => {
  base ??= await noisyJpeg(24, 24);
  requests = [];
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    requests.push(target);
    await connection.send(
      target.includes("site") ? response(jpegOf(target)) : response("", { status: "404 Not Found" }),
    );
  });
  adminPort = await freePort();
  const server = { adminPort, adminToken: TOKEN };
  installation = await install(oneBucket(undefined, {}, { server }));
  photos = join(installation.folder, "photos");
  await installation.write(oneBucket(mirrorOf(origin.url), {}, { server: { ...server, migrationFolders: [photos] } }));
  await mkdir(photos);
  for (let index = 0; index < COUNT; index += 1) await writeFile(join(photos, nameOf(index)), jpegOf(index));
  program = await installation.start();
}, 120_000);
afterEach(async () => {
  await program.kill();
  await installation.remove();
  await origin.close();
}, 60_000);

const nameOf = (index: number) => `图 ${index}.jpg`;

/** A JPEG with bytes of its own. */
function jpegOf(number: number | string): Buffer {
  return Buffer.concat([base, Buffer.from(`number ${number}`)]);
}

async function call(method: string, path: string, body?: object | Buffer, more: Record<string, string> = {}) {
  const isBytes = Buffer.isBuffer(body);
  const type = body === undefined || isBytes ? {} : { "content-type": "application/json" };
  const headers = { authorization: `Bearer ${TOKEN}`, ...type, ...more };
  const sent = body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) };
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/v1${path}`, { method, headers, ...sent });
  // Each test reads the fields of its own call: of the first line, if there are several.
  return { status: answer.status, json: JSON.parse((await answer.text()).split("\n", 1)[0] ?? "") };
}

const download = (name: string) => get({ port: program.downloadPort, path: `/${encodeURIComponent(name)}` });

async function expectAllHits(): Promise<void> {
  for (let index = 0; index < COUNT; index += 1) {
    const { status, body } = await download(nameOf(index));
    expect([status, body.equals(jpegOf(index))], nameOf(index)).toEqual([200, true]);
  }
  expect(requests).toEqual([]);
}

describe("the command into a running server", () => {
  const folder = () => join(installation.folder, "job");
  const config = () => join(installation.folder, "config.yaml");
  const args = (...more: string[]) => [
    ...["migrate", "start", "--config", config(), "--job", folder(), "--settings", installation.file],
    ...more,
  ];
  const configure = (more: object = {}) =>
    writeFile(config(), JSON.stringify({ "migrate.type": "Local", "local.image_root_path": photos, ...more }));

  test(
    "copies through the admin API, with kill -9 on the way; all are hits then, and tombstones stay",
    SLOW,
    async () => {
      await configure({ "limit.requests.per.second": 200 });
      // Known as absent before it is migrated.
      expect((await download("late.jpg")).status).toBe(404);
      requests.length = 0;
      await call("POST", "/objects/delete", { names: ["deleted.jpg"] });
      for (const name of ["late.jpg", "deleted.jpg"]) await writeFile(join(photos, name), jpegOf(name));
      const killed = spawn(process.execPath, [PROGRAM, ...args()], { stdio: "ignore" });
      const ended = once(killed, "exit");
      const listed = async () => (await call("GET", "/objects?limit=1000")).json.objects.length;
      await eventually(async () => (await listed()) > 20, "some are stored", 120_000);
      killed.kill("SIGKILL");
      await ended;
      expect(killed.signalCode).toBe("SIGKILL");
      expect(await listed()).toBeLessThan(COUNT);
      await configure();
      const again = await huiyuan(args());
      expect(again).toMatchObject({ code: 0, err: "" });
      expect(again.out).toContain(`failed, successful / submitted: 0, ${COUNT + 2} / ${COUNT + 2}\n`);
      expect(again.out).toContain("deleted at the target: 1");
      await expectAllHits();
      expect((await download("late.jpg")).body.equals(jpegOf("late.jpg"))).toBe(true);
      expect((await download("deleted.jpg")).status).toBe(404);
      const { json } = await call("GET", `/objects/stat?name=${encodeURIComponent(nameOf(7))}`);
      expect(json.object).toMatchObject({ provenance: { via: "migration" }, isSuspect: false });
      expect(await readdir(folder())).not.toContain("jobs.spool");
    },
  );

  test(
    "replaces what the source has changed, also in the memory of the server, and other bytes only if told",
    SLOW,
    async () => {
      await configure();
      expect((await huiyuan(args())).code).toBe(0);
      for (let times = 0; times < 3; times += 1) await download(nameOf(1));
      await writeFile(join(photos, nameOf(1)), jpegOf("changed"));
      expect((await huiyuan(args("-f"))).out).toContain("Changed: 1\n");
      expect((await download(nameOf(1))).body.equals(jpegOf("changed"))).toBe(true);
      expect((await download("site.jpg")).status).toBe(200);
      await writeFile(join(photos, "site.jpg"), jpegOf("other bytes"));
      const differs = await huiyuan(args("-f"));
      expect(differs.out).toContain("code -1886");
      const dry = await huiyuan(args("--dry-run", "--job", join(installation.folder, "none")));
      expect(dry.out).toContain(`Would copy: 0\nAre at the target: ${COUNT + 1}\n`);
      expect(await readdir(installation.folder)).not.toContain("none");
      // The same without the settings file.
      let env: Readonly<Record<string, string>> = { HUIYUAN_ADMIN_TOKEN: TOKEN };
      const remote = (...more: string[]) => {
        const at = ["--admin", `http://127.0.0.1:${adminPort}`, "--job", join(installation.folder, "other")];
        return huiyuan(["migrate", "start", "--config", config(), ...at, ...more], { env });
      };
      expect(await remote("--dry-run")).toEqual(dry);
      expect(await remote("--overwrite", "newer")).toMatchObject({ code: 1, out: expect.stringContaining("-1886") });
      for (const [wrong, fault] of [
        [["--settings", installation.file], "Give --settings or --admin, not both"],
        [["--from-origin", "*"], "--from-origin needs --settings"],
      ] as const)
        expect(await remote(...wrong)).toEqual({ code: 2, out: "", err: expect.stringContaining(fault) });
      await configure({ "appinfo.appid": "1", "appinfo.bucket": "other" });
      const unknown = { code: 2, err: expect.stringContaining(`name 1/other, but must name one of: ${APPID}/photos`) };
      expect(await remote()).toMatchObject(unknown);
      env = {};
      expect((await remote()).err).toContain("HUIYUAN_ADMIN_TOKEN");
      await configure();
      expect((await huiyuan(args("--overwrite", "always"))).code).toBe(0);
      expect((await download("site.jpg")).body.equals(jpegOf("other bytes"))).toBe(true);
    },
  );

  test(
    "live traffic and a migration keep to the limits of their origin together, also after kill -9",
    SLOW,
    async () => {
      let [running, most] = [0, 0];
      const narrow = await startScriptedOrigin(async ({ target }, connection) => {
        running += 1;
        most = Math.max(most, running);
        await connection.pause(100);
        // Before the answer: the next request may come with its last byte.
        running -= 1;
        await connection.send(response(jpegOf(target)));
      });
      try {
        const mirror = { origins: [{ type: "site", url: narrow.url, allowPrivate: true, connections: 2 }] };
        await installation.write(oneBucket(mirror, {}, { server: { adminPort, adminToken: TOKEN } }));
        const limits = async () => (await call("GET", "/origins")).json.origins[0];
        await eventually(async () => (await limits()).connections === 2, "the new settings are in force");
        const names = Array.from({ length: 60 }, (_, index) => `${index}.jpg`);
        const list = join(installation.folder, "keys.txt");
        await writeFile(list, names.slice(0, 30).join("\n"));
        const from = ["migrate", "start", "--settings", installation.file, "--from-origin", "*", "--list", list];
        const command = [...from, "--job", folder()];
        const killed = spawn(process.execPath, [PROGRAM, ...command], { stdio: "ignore" });
        const ended = once(killed, "exit");
        await eventually(async () => (await limits()).running > 0, "the server counts its requests", 120_000);
        killed.kill("SIGKILL");
        await ended;
        await eventually(async () => (await limits()).running === 0, "the killed migration holds no place");
        const [run, ...answers] = await Promise.all([huiyuan(command), ...names.slice(30).map(download)]);
        expect(run).toMatchObject({ code: 0, err: "" });
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        expect(most).toBe(2);
      } finally {
        await narrow.close();
      }
    },
  );

  test("a server that refuses the token ends the run, and the next start copies the rest", SLOW, async () => {
    await configure({ "limit.requests.per.second": 30 });
    const child = spawn(process.execPath, [PROGRAM, ...args()], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = once(child, "close");
    const listed = async () => (await call("GET", "/objects?limit=1000")).json.objects.length;
    await eventually(async () => (await listed()) > 5, "some are stored", 120_000);
    await installation.write(
      oneBucket(mirrorOf(origin.url), {}, { server: { adminPort, adminToken: `${TOKEN}-new` } }),
    );
    expect(await ended).toEqual([1, null]);
    expect(output).toContain("the server wants its token: set server.adminToken\n");
    expect(output).toMatch(/not tried: [1-9]/);
    await configure();
    expect((await huiyuan(args())).out).toContain(`failed, successful / submitted: 0, ${COUNT} / ${COUNT}\n`);
  });
});

describe("PUT /objects/content", () => {
  const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
  const put = (bytes: Buffer, query: Record<string, string> = {}, headers: Record<string, string> = {}) => {
    const fields = new URLSearchParams({ key: "put.jpg", sha256: sha256(bytes), ...query });
    return call("PUT", `/objects/content?${fields}`, bytes, headers);
  };

  test("refuses what it cannot prove, with a code and a request id, and stores nothing", SLOW, async () => {
    const jpeg = jpegOf("put");
    const cut = base.subarray(0, -40);
    const page = Buffer.from("<html>no image</html>");
    const refusals = [
      [400, await put(jpeg, { sha256: sha256(page) })],
      [400, await put(cut)],
      [400, await put(page)],
      [400, await put(Buffer.alloc(0))],
      [400, await put(jpeg, { sha256: "short" })],
      [400, await put(jpeg, { replace: "all" })],
      [400, await put(jpeg, { key: "../x" })],
      [400, await put(jpeg, { bucket: "unknown" })],
      [401, await put(jpeg, {}, { authorization: "Bearer wrong" })],
      [403, await put(jpeg, {}, { origin: "http://evil.example" })],
      [413, await put(Buffer.alloc(30_000_000))],
    ] as const;
    for (const [status, answer] of refusals) {
      expect([answer.status, answer.json]).toEqual([
        status,
        { code: expect.any(Number), message: expect.any(String), requestId: expect.any(String) },
      ]);
    }
    expect((await call("GET", "/objects")).json.objects).toEqual([]);
    expect((await put(cut, { accept: "suspect" })).json).toMatchObject({ key: "put.jpg", outcome: "stored" });
    expect((await call("GET", "/objects/stat?name=put.jpg")).json.object.isSuspect).toBe(true);
  });

  test("needs a Content-Length, and a body that is cut short is not stored", SLOW, async () => {
    const jpeg = jpegOf("cut");
    const head = (more: string) =>
      `PUT /api/v1/objects/content?key=cut.jpg&sha256=${sha256(jpeg)} HTTP/1.1\r\nHost: 127.0.0.1:${adminPort}\r\n` +
      `Authorization: Bearer ${TOKEN}\r\n${more}\r\n\r\n`;
    const chunked = await sendRaw(head("Transfer-Encoding: chunked"));
    expect(chunked).toMatch(/^HTTP\/1\.1 411 /);
    await sendRaw(
      Buffer.concat([Buffer.from(head(`Content-Length: ${jpeg.byteLength}`)), jpeg.subarray(0, 300)]),
      true,
    );
    await delay(200);
    expect((await call("GET", "/objects")).json.objects).toEqual([]);
    expect((await call("GET", "/buckets")).status).toBe(200);
  });

  /** The first bytes of the answer; `leaves`: disconnects at once. */
  async function sendRaw(bytes: string | Buffer, leaves = false): Promise<string> {
    const socket = connect(adminPort, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(bytes);
    if (leaves) await delay(200);
    const text = leaves ? "" : String((await once(socket, "data"))[0]);
    socket.destroy();
    return text;
  }
});

describe("jobs in the server", () => {
  const local = (more: object = {}) => ({ "migrate.type": "Local", "local.image_root_path": photos, ...more });
  const stat = async (id: string) => (await call("GET", `/migrations/stat?id=${id}`)).json;
  const create = (id: string, more: object) => call("POST", "/migrations", { id, ...more });
  const untilEnded = (id: string) => eventually(async () => !(await stat(id)).isRunning, `${id} ends`, 120_000);
  const untilCopying = (id: string) =>
    eventually(async () => ((await stat(id)).counters?.successful ?? 0) > 5, `${id} copies`, 120_000);
  const jobDir = (id: string) => join(installation.data, "migrations", id);
  const pidOf = async (id: string) => Number(await readFile(join(jobDir(id), "pid"), "utf8"));
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  test(
    "a job survives kill -9 and a stop, then all are hits; its config stays private; it can be removed",
    SLOW,
    async () => {
      await writeFile(join(photos, "broken.jpg"), base.subarray(0, 200));
      const secret = "a secret that must not be told";
      const slow = { "limit.requests.per.second": 30, "appinfo.secretKey": secret };
      const created = await create("photos", { config: local(slow) });
      expect(created).toMatchObject({ status: 200, json: { id: "photos", source: "Local", isRunning: true } });
      await untilCopying("photos");
      const pid = await pidOf("photos");
      expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(secret);
      for (const name of ["config.yaml", "request.json", "list.txt"])
        expect((await statFile(join(jobDir("photos"), name))).mode & 0o777, name).toBe(0o600);
      process.kill(pid, "SIGKILL");
      await untilEnded("photos");
      expect(await stat("photos")).toMatchObject({ isRunning: false, ended: "SIGKILL" });

      expect((await call("POST", "/migrations/start", { id: "photos" })).json.isRunning).toBe(true);
      expect((await call("POST", "/migrations/start", { id: "photos" })).status).toBe(409);
      expect((await call("POST", "/migrations/remove", { id: "photos" })).status).toBe(409);
      await eventually(async () => (await stat("photos")).output.includes("Start uploading"), "it runs", 120_000);
      expect((await call("POST", "/migrations/stop", { id: "photos" })).status).toBe(200);
      await untilEnded("photos");
      expect(await stat("photos")).toMatchObject({ ended: "1", output: expect.stringContaining("not tried: ") });
      expect((await call("POST", "/migrations/stop", { id: "photos" })).status).toBe(200);

      // The limit is no part of what must not change.
      const file = join(jobDir("photos"), "config.yaml");
      await writeFile(file, JSON.stringify(local()));
      await call("POST", "/migrations/start", { id: "photos" });
      await untilEnded("photos");
      const counters = { submitted: COUNT + 1, successful: COUNT, failed: 1 };
      expect(await stat("photos")).toMatchObject({ ended: "1", counters });
      const { json } = await call("GET", "/migrations/failures?id=photos");
      expect(json.failures).toMatchObject([{ fileid: "broken.jpg" }]);
      expect(json.causes).toEqual([{ cause: "image_not_processable", count: 1, example: json.failures[0].log }]);
      await expectAllHits();
      const list = await call("GET", "/migrations");
      expect(list.json.migrations).toMatchObject([{ id: "photos", counters }]);
      expect(JSON.stringify([list.json, await stat("photos"), program.output])).not.toContain(secret);
      expect((await call("POST", "/migrations/remove", { id: "photos" })).json).toEqual({ removed: "photos" });
      expect((await call("GET", "/migrations")).json).toEqual({ migrations: [] });
      expect(await readdir(join(installation.data, "migrations"))).toEqual([]);
      expect((await download(nameOf(0))).status).toBe(200);
    },
  );

  test(
    "verify finds a damaged and a missing image, a retry copies both, and the next verify finds no difference",
    SLOW,
    async () => {
      const verify = (sample?: string) => call("POST", "/migrations/verify", { id: "photos", sample });
      const found = async () => (await stat("photos")).verification;
      expect((await create("photos", { config: local() })).status).toBe(200);
      await untilEnded("photos");
      expect(await stat("photos")).toMatchObject({ ended: "0", isVerifying: false });
      expect(await found()).toBeUndefined();
      damageBlob(blobWith(installation.data, jpegOf(17)), 30);
      for (const change of ["delete", "undelete"]) await call("POST", `/objects/${change}`, { names: [nameOf(4)] });

      const file = join(jobDir("photos"), "config.yaml");
      await writeFile(file, JSON.stringify(local({ "limit.requests.per.second": 60 })));
      expect((await verify("1.5")).json.message).toContain("a percentage such as 5%");
      expect((await verify("100%")).json).toMatchObject({ isRunning: true, isVerifying: true });
      for (const operation of ["verify", "start", "remove"])
        expect(await call("POST", `/migrations/${operation}`, { id: "photos" })).toEqual({
          status: 409,
          json: { code: -103, message: expect.stringContaining("is running"), requestId: expect.any(String) },
        });
      await eventually(async () => ((await found())?.done ?? 0) > 0, "it compares", 120_000);
      expect(await found()).toMatchObject({ objects: COUNT, sample: "100%" });
      expect(await found()).not.toHaveProperty("troubles");
      await untilEnded("photos");
      const findings = [
        { kind: "differs", count: 1, first: [{ fileid: nameOf(17), reason: "its bytes at the target are damaged" }] },
        { kind: "missing", count: 1, first: [{ fileid: nameOf(4), reason: "" }] },
      ];
      const counts = { objects: COUNT, done: COUNT, equal: COUNT - 2 };
      expect(await found()).toMatchObject({ ...counts, troubles: [], findings });
      expect(await stat("photos")).toMatchObject({ ended: "1", counters: { successful: COUNT - 2 } });
      expect(program.output).toContain('"operation":"migration verify"');

      await writeFile(file, JSON.stringify(local()));
      await call("POST", "/migrations/start", { id: "photos" });
      await untilEnded("photos");
      const { ended, counters, verification } = await stat("photos");
      expect([ended, counters.successful]).toEqual(["0", COUNT]);
      expect(verification.run).toBeLessThan(counters.run);
      await verify("100%");
      await untilEnded("photos");
      const equal = { objects: COUNT, equal: COUNT, hashed: COUNT, troubles: [], findings: [] };
      expect(await found()).toMatchObject(equal);
      await expectAllHits();
      // The journal has it, so it outlives the server.
      await program.stop();
      program = await installation.start();
      expect(await found()).toMatchObject(equal);
    },
  );

  test("runs end with the server, also after its kill -9, and only a call continues them", SLOW, async () => {
    await create("ends", { config: local({ "limit.requests.per.second": 20 }) });
    await untilCopying("ends");
    const first = await pidOf("ends");
    await program.stop();
    expect(isAlive(first)).toBe(false);
    program = await installation.start();
    expect(await stat("ends")).toMatchObject({ isRunning: false });
    await call("POST", "/migrations/start", { id: "ends" });
    // The file is empty while it is written.
    const isOther = async () => ![first, 0].includes(await pidOf("ends").catch(() => first));
    await eventually(isOther, "it runs again", 120_000);
    const second = await pidOf("ends");
    await program.kill();
    await eventually(() => !isAlive(second), "the run of the killed server ends", 60_000);
    program = await installation.start();
    expect(await stat("ends")).toMatchObject({ isRunning: false });
  });

  test("reads folders that the settings name, and no others", SLOW, async () => {
    const outside = join(installation.folder, "photos-private");
    await mkdir(outside);
    await symlink(outside, join(photos, "link"));
    const refusal = {
      code: -103,
      message: expect.stringContaining("server.migrationFolders"),
      requestId: expect.any(String),
    };
    const folders = [outside, join(photos, ".."), join(photos, "link"), "/etc", "/no/such/folder", "relative"];
    for (const root of folders)
      expect([
        root,
        await create("no", { config: { "migrate.type": "local", "LOCAL.image_root_path": root } }),
      ]).toEqual([root, { status: 403, json: refusal }]);
    const lists = { "migrate.type": "URLList", "url.url_list_file_path": "/etc/hostname" };
    expect(await create("no", { config: lists })).toEqual({ status: 403, json: refusal });
    expect(await create("no", { config: { ...lists, "URL.url_list_file_path": "-" }, list: "x" })).toMatchObject({
      status: 403,
    });
    const wrong = [
      { config: {} },
      { config: { "migrate.type": "Local" } },
      { config: { "migrate.type": "Local", "local.image_root_path": photos, concurrency: 0 } },
      { config: local(), sitemap: "http://site.example/sitemap.xml" },
      { fromOrigin: "any.example", sitemap: "http://site.example/sitemap.xml?token=secret" },
      { fromOrigin: "any.example", sitemap: "http://user:secret@site.example/sitemap.xml" },
      ...["\0", "", "../../etc/passwd", "a b"].map((fromOrigin) => ({ fromOrigin, list: "a.jpg" })),
      { fromOrigin: "any.example", sitemap: "http://site.example/\0" },
      // A web site cannot be listed.
      { fromOrigin: "any.example" },
      { config: local(), unknown: 1 },
      { config: local(), id: "../x" },
    ];
    for (const more of wrong) expect([more, (await create("no", more)).status]).toEqual([more, 400]);
    expect((await call("GET", "/migrations/stat?id=no")).status).toBe(400);
    expect((await call("GET", "/migrations")).json).toEqual({ migrations: [] });

    // A job does not follow the links that lead out, and a command does.
    await writeFile(join(outside, "private.jpg"), jpegOf("private"));
    await symlink(join(outside, "private.jpg"), join(photos, "private.jpg"));
    await symlink("/no/such/file.jpg", join(photos, "nowhere.jpg"));
    await symlink(nameOf(0), join(photos, "inside.jpg"));
    const counters = { submitted: COUNT + 4, successful: COUNT + 1, failed: 3 };
    const told = "is not below a folder of server.migrationFolders, or is a link out of it";
    for (const type of ["Local", "Local_MD5"]) {
      await create(type.toLowerCase().replace("_", "-"), { config: local({ "migrate.type": type }) });
      await untilEnded(type.toLowerCase().replace("_", "-"));
    }
    expect(await stat("local")).toMatchObject({ ended: "1", counters });
    const { failures } = (await call("GET", "/migrations/failures?id=local")).json;
    expect(failures.map(({ fileid }: { fileid: string }) => fileid).sort()).toEqual([
      "link",
      "nowhere.jpg",
      "private.jpg",
    ]);
    for (const { fileid, log } of failures) expect(log).toBe(`${JSON.stringify(join(photos, fileid))} ${told}`);
    expect((await stat("local-md5")).counters).toMatchObject({ failed: 3, stored: COUNT });
    expect((await download("inside.jpg")).body.equals(jpegOf(0))).toBe(true);
    const command = [
      "migrate",
      "start",
      "--config",
      join(jobDir("local"), "config.yaml"),
      "--settings",
      installation.file,
    ];
    const { out } = await huiyuan([...command, "--job", join(installation.folder, "job")]);
    expect(out).toContain(`failed, successful / submitted: 1, ${COUNT + 3} / ${COUNT + 4}\n`);
  });

  test(
    "a list of another machine names no file: URLs and no private addresses; the origins of a domain may be private",
    SLOW,
    async () => {
      const secret = origin.url.replace("://", "://user:the-password@");
      const list = [
        `file://${join(photos, encodeURIComponent(nameOf(1)))}`,
        `${origin.url}/site-1.jpg?key=the-secret-query`,
        `${secret}/site-3.jpg`,
      ].join("\n");
      expect((await create("list", { config: { "migrate.type": "URLList" }, list })).status).toBe(200);
      await untilEnded("list");
      const { failures, causes } = (await call("GET", "/migrations/failures?id=list")).json;
      expect(failures.map(({ log }: { log: string }) => log).join("\n")).toMatch(/file: URLs are not allowed here/);
      expect(await stat("list")).toMatchObject({ ended: "1", counters: { submitted: 3, successful: 0, failed: 3 } });
      const told = JSON.stringify([failures, causes, await stat("list"), (await call("GET", "/migrations")).json]);
      expect(told).toContain("Failures by cause:");
      expect(told).not.toMatch(/the-password|the-secret/);
      expect(requests).toEqual([]);
      await create("origins", { fromOrigin: "any.example", list: "site-1.jpg\nsite-2.jpg\n" });
      await untilEnded("origins");
      expect(await stat("origins")).toMatchObject({ source: "any.example", ended: "0", counters: { successful: 2 } });
      requests.length = 0;
      expect((await download("site-2.jpg")).body.equals(jpegOf("/site-2.jpg"))).toBe(true);
      expect(requests).toEqual([]);
    },
  );
});
