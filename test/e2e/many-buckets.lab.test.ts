// A settings file with 10,000 buckets, and one with 25,000 domains: no reload, call or job may hold the event loop,
// while a client downloads. Holds are measured in CPU time of the program's main thread, so other load changes little.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

/** The bound is 50 ms. A busy machine doubles CPU time, because programs share its caches. */
const HELD_MS = 100;
/** The machine may be busy, and a lab has time. */
const PATIENCE_MS = 300_000;
const WATCH = fileURLToPath(new URL("../helpers/loop-holds.mjs", import.meta.url));

let origin: ScriptedOrigin;

beforeAll(async () => {
  const jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin((_, connection) => connection.send(response(jpeg)));
});
afterAll(() => origin?.close());

const number = (index: number) => index.toString(36).padStart(4, "0");
const manyBuckets = () =>
  Array.from({ length: 10_000 }, (_, index) => {
    const name = `n${number(index)}`;
    return { name, domains: [{ host: `${name}.z`, mirror: { origins: [{ type: "site", url: `http://${name}` }] } }] };
  });
const manyDomains = () => [
  { name: "wide", domains: Array.from({ length: 25_000 }, (_, index) => ({ host: `d${number(index)}.example` })) },
];

describe.each([
  ["10,000 buckets", manyBuckets, "n0007"],
  ["25,000 domains", manyDomains, "wide"],
] as const)("with %s", (_, make, edited) => {
  let installation: Installation;
  let program: Program;
  let holds: string;
  let isOver = false;
  let downloads = 0;
  let downloading: Promise<void>;
  const photos = { name: "photos", domains: [{ host: "*", mirror: {} }] };

  beforeAll(async () => {
    photos.domains[0]!.mirror = mirrorOf(origin.url);
    const buckets = [photos, ...make()];
    installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
    // A file has at most 1 MiB.
    writeFileSync(installation.file, readFileSync(installation.file, "utf8").replace(/"(\w+)":/g, "$1: "));
    holds = join(installation.folder, "holds.txt");
    program = await installation.start({ nodeFlags: ["--import", WATCH], env: { LOOP_HOLDS: holds } });
    const { downloadPort: port } = program;
    const download = async () => {
      const { status } = await get({ port, path: "/a.jpg", host: "any.example", deadlineMs: PATIENCE_MS });
      if (status !== 200) throw new Error(`a download was answered ${status}`);
      downloads += 1;
    };
    await download();
    downloading = (async () => {
      while (!isOver) await download();
    })();
  }, PATIENCE_MS);
  afterAll(async () => {
    isOver = true;
    await downloading;
    await program?.kill();
    await installation?.remove();
  });

  /** Runs it, and returns the longest hold meanwhile. Downloads must go on. */
  async function longestHold(run: () => Promise<unknown>): Promise<number> {
    writeFileSync(holds, "");
    const before = downloads;
    await run();
    await eventually(() => downloads > before, "a download meanwhile", PATIENCE_MS);
    await delay(5); // The turn that answered may still run.
    return Math.max(0, ...readFileSync(holds, "utf8").split("\n").map(Number));
  }

  const call = async (path: string, input?: object) => {
    const body = input && {
      method: "POST",
      body: JSON.stringify(input),
      headers: { "Content-Type": "application/json" },
    };
    const answer = await fetch(`http://127.0.0.1:${program.adminPort}${path}`, body);
    return { status: answer.status, text: await answer.text() };
  };
  const applied = () => program.output.split("new settings are in force").length;

  test("a reload does not hold the event loop", async () => {
    const reload = async () => {
      const before = applied();
      const text = readFileSync(installation.file, "utf8");
      writeFileSync(installation.file, text.replace("public, max-age=1", "public, max-age=2").concat("\n"));
      await eventually(() => applied() > before, "the reload", PATIENCE_MS);
    };
    expect(await longestHold(reload)).toBeLessThan(HELD_MS);
  });

  test("an edit over the admin API does not hold the event loop", async () => {
    const list = async () => JSON.parse((await call("/api/v1/settings")).text);
    const { version, settings } = await list();
    const index = settings.projects[0].buckets.findIndex(({ name }: { name: string }) => name === edited);
    const edits = [{ path: ["projects", 0, "buckets", index, "cacheControl"], value: "no-cache" }];
    const before = applied();
    const edit = async () => {
      expect((await call("/api/v1/settings/propose", { version, edits })).status).toBe(200);
      expect((await call("/api/v1/settings/apply", { version, edits })).status).toBe(200);
      await eventually(() => applied() > before, "the reload", PATIENCE_MS);
    };
    expect(await longestHold(edit)).toBeLessThan(HELD_MS);
    expect((await list()).settings.projects[0].buckets[index].cacheControl).toBe("no-cache");
  });

  const names = Array.from({ length: 1_000 }, (_, index) => `missing-${index}.jpg`);
  test.each<{ readonly path: string; readonly input?: object }>([
    { path: "/api/v1/settings" },
    { path: "/api/v1/settings/keys" },
    { path: "/api/v1/buckets" },
    { path: "/api/v1/origins" },
    { path: "/api/v1/overview" },
    { path: "/api/v1/usage" },
    { path: "/metrics" },
    { path: "/readyz" },
    { path: "/api/v1/objects?bucket=photos" },
    { path: "/api/v1/explain", input: { url: "http://n0077.z/a.jpg" } },
    { path: "/api/v1/sign", input: { operation: "download", url: "http://any.example/a.jpg", bucket: "photos" } },
    { path: "/api/v1/objects/purge", input: { bucket: "photos", names } },
    { path: "/api/v1/warm", input: { bucket: "photos", names: names.slice(0, 200) } },
  ])("$path does not hold the event loop", async ({ path, input }) => {
    const run = async () => expect((await call(path, input)).status).toBe(200);
    expect(await longestHold(run)).toBeLessThan(HELD_MS);
  });

  test("the filter of a migration does not hold the event loop", async () => {
    // It takes half a second to compile.
    const config = { retries: "none", "fileid.ignore.if": `(?i)${"\\pL".repeat(2_700)}` };
    const run = async () => {
      const { status, text } = await call("/api/v1/migrations", { id: "a", fromOrigin: "*", list: "a.jpg", config });
      expect([status, text]).toEqual([400, expect.stringContaining("retries")]);
    };
    expect(await longestHold(run)).toBeLessThan(HELD_MS);
  });
});
