// docs/guides/uploads.md: its commands run unmodified, and its table lists exactly the codes of the API.
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CALLBACK_FAILED, ERROR_CODES, restError } from "../../src/core/errors.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { needs } from "../helpers/services.ts";
import { oneBucket } from "../helpers/settings.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

let guide: string;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  guide = await readFile(join(ROOT, "docs/guides/uploads.md"), "utf8");
  installation = await install(oneBucket(undefined));
  program = await installation.start();
  await writeFile(join(installation.folder, "picture.jpg"), await noisyJpeg(600, 400));
  await writeFile(join(installation.folder, "large.jpg"), await noisyJpeg(900, 700));
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

test("the guide's commands do what it says", needs("bash", "curl"), () => {
  const commands = [...guide.matchAll(/^```sh[^\n]*\n(.*?)^```/gms)].map(([, text = ""]) => text);
  expect(commands.length).toBeGreaterThan(3);
  const script = [
    "set -eu",
    `huiyuan() { node ${join(ROOT, "dist/main.js")} "$@"; }`,
    ...commands.map((text) => text.replace("127.0.0.1:8080", `127.0.0.1:${program.downloadPort}`)),
  ];
  const { stdout, stderr, status } = spawnSync("bash", ["-c", script.join("\n")], {
    cwd: installation.folder,
    encoding: "utf8",
    timeout: 60_000,
  });
  expect([status, stderr]).toEqual([0, ""]);
  const answers = stdout
    .replaceAll("}{", "}\n{")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 0));
  const [uploaded, begun, ...more] = answers;
  expect(uploaded.data).toMatchObject({ fileid: "2015/a.jpg", info: [{ "0": { width: 600, height: 400 } }] });
  expect(begun.data).toMatchObject({ offset: 0, slice_size: 65_536 });
  expect(more.at(-4).data).toMatchObject({ fileid: "large.jpg", info: [{ "0": { width: 900, height: 700 } }] });
  const [stat, copy, deleted] = more.slice(-3);
  expect(stat.data).toMatchObject({ file_fileid: "2015/a.jpg", photo_width: "600" });
  expect(copy.data.fileid).toMatch(/^[0-9a-f-]{36}$/);
  expect(deleted.data).toEqual({});
});

test("the guide's table has every code of the API, and no other", () => {
  const rows = [...guide.matchAll(/^\| (-\d[-\d, ]*) \|/gm)].flatMap(([, codes = ""]) => codes.split(", ").map(Number));
  const all = new Set([...ERROR_CODES.map((code) => restError(code).code), CALLBACK_FAILED]);
  expect(rows.toSorted()).toEqual([...all].toSorted());
});
