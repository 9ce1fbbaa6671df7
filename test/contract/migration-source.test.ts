// Every source of a migration keeps the contract; the rest is what only one of them has.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFilters } from "../../src/operate/migrations/config/filters.ts";
import { filtered } from "../../src/operate/migrations/runner/runner.ts";
import { createLocalSource } from "../../src/operate/migrations/sources/local.ts";
import { listed, read, type SourceLab, sourceContract } from "./migration-source.ts";

sourceContract({ name: "Local", open: openLocal, knowsVersions: true });

async function openLocal(): Promise<SourceLab> {
  const root = mkdtempSync(join(tmpdir(), "huiyuan-local-"));
  return {
    open: () => createLocalSource({ root, isNamedByMd5: false, folders: undefined }),
    async put(fileid, bytes) {
      mkdirSync(dirname(join(root, fileid)), { recursive: true });
      writeFileSync(join(root, fileid), bytes);
    },
    remove: async (fileid) => rmSync(join(root, fileid)),
    breakListing: async () => renameSync(root, `${root}-away`),
    async close() {
      for (const dir of [root, `${root}-away`]) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** root may read everything otherwise. */
const WITHOUT_RIGHT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "huiyuan-local-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const source = (isNamedByMd5 = false) => createLocalSource({ root, isNamedByMd5, folders: undefined });
const list = async (isNamedByMd5 = false) => {
  const pages = await listed(source(isNamedByMd5));
  return { objects: pages.flatMap((page) => page.objects), failures: pages.flatMap((page) => page.failures) };
};
const names = async () => (await list()).objects.map(({ fileid }) => fileid).sort();
const put = (path: string, text = path) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

test("Local follows links to files and folders, also to outside of the root, and cuts cycles", async () => {
  const outside = mkdtempSync(join(tmpdir(), "huiyuan-outside-"));
  writeFileSync(join(outside, "o.jpg"), "o");
  put("a/b/c.jpg");
  symlinkSync(outside, join(root, "a/out"));
  symlinkSync(join(outside, "o.jpg"), join(root, "file.jpg"));
  symlinkSync(root, join(root, "a/b/to-root"));
  symlinkSync("..", join(root, "a/b/up"));
  symlinkSync(join(root, "a/b"), join(root, "second"));
  try {
    const found = await names();
    expect(found.filter((name) => !name.startsWith("second/"))).toEqual(["a/b/c.jpg", "a/out/o.jpg", "file.jpg"]);
    expect(found).toContain("second/c.jpg");
    expect(found.length).toBeLessThan(10);
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test("Local within folders refuses links that lead out of them, also one that came after the listing", async () => {
  const outside = mkdtempSync(join(tmpdir(), "huiyuan-outside-"));
  writeFileSync(join(outside, "o.jpg"), "o");
  put("in/a.jpg");
  for (const [name, target] of [
    ["out", outside],
    ["o.jpg", join(outside, "o.jpg")],
    ["none.jpg", "/no"],
    ["a.jpg", "in/a.jpg"],
  ])
    symlinkSync(target!, join(root, name!));
  const confined = createLocalSource({ root, isNamedByMd5: false, folders: [root] });
  const signal = new AbortController().signal;
  const fetched = async (name: string) => {
    const object = { fileid: name, locator: join(root, name) };
    const answer = await confined.fetch({ object, maxBytes: 10, signal });
    if (answer === undefined || answer.isNotModified) throw new Error("no answer");
    return { answer, text: () => read(answer).then(String) };
  };
  try {
    const pages = await listed(confined);
    expect(pages.flatMap((page) => page.objects.map(({ fileid }) => fileid)).sort()).toEqual(["a.jpg", "in/a.jpg"]);
    expect(
      pages
        .flatMap((page) => page.failures)
        .map(({ shown }) => shown)
        .sort(),
    ).toEqual(["none.jpg", "o.jpg", "out"]);
    await expect(fetched("o.jpg")).rejects.toMatchObject({ code: "request_invalid" });
    const { text } = await fetched("in/a.jpg");
    rmSync(join(root, "in/a.jpg"));
    symlinkSync(join(outside, "o.jpg"), join(root, "in/a.jpg"));
    await expect(text()).rejects.toMatchObject({ code: "request_invalid" });
    await expect(listed(createLocalSource({ root: outside, isNamedByMd5: true, folders: [root] }))).rejects.toThrow(
      "is not below a folder of server.migrationFolders, or is a link out of it",
    );
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test("Local reports names that are not UTF-8 or too long as failures, escaped, and lists all others", async () => {
  put("good.jpg");
  writeFileSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff, 0x0a]), Buffer.from("\\.jpg")]), "x");
  const folder = Array.from({ length: 5 }, () => "x".repeat(210)).join("/");
  put(`${folder}/long.jpg`);
  const { objects, failures } = await list();
  expect(objects.map(({ fileid }) => fileid)).toEqual(["good.jpg"]);
  expect(failures.map(({ shown }) => shown).sort()).toEqual(["bad\\xff\\x0a\\x5c.jpg", folder]);
  expect(failures.map(({ reason }) => reason).sort()).toEqual([
    "The folder's name has more than 1024 bytes",
    "The name is not UTF-8",
  ]);
});

test("Local reports a link to nowhere and a pipe as failures, and never opens the pipe", async () => {
  put("good.jpg");
  symlinkSync("/nowhere/at/all", join(root, "dangling.jpg"));
  execFileSync("mkfifo", [join(root, "pipe.jpg")]);
  const { objects, failures } = await list();
  expect(objects.length).toBe(1);
  expect(failures).toContainEqual({
    shown: "dangling.jpg",
    reason: `[Errno 2] No such file or directory: '${root}/dangling.jpg'`,
  });
  expect(failures).toContainEqual({ shown: "pipe.jpg", reason: "It is no regular file" });
  const pipe = { fileid: "pipe.jpg", locator: join(root, "pipe.jpg") };
  const fetching = source().fetch({ object: pipe, maxBytes: 10, signal: new AbortController().signal });
  await expect(fetching).rejects.toMatchObject({ code: "origin_unexpected" });
});

test("no filter leaves out what may hold names: a folder that cannot be read, or whose name is too long", async () => {
  const deep = Array.from({ length: 5 }, () => "x".repeat(210)).join("/");
  for (const path of [`${deep}/long.jpg`, "a/x.jpg", "notes.txt"]) put(path);
  symlinkSync("loop", join(root, "loop"));
  symlinkSync("/nowhere/at/all", join(root, "old.txt"));
  const filters = createFilters((name) => (name === "fileid.ignore.unless" ? ".*\\.jpg$" : undefined), []);
  const { objects, failures, ignored } = filtered({ ...(await list()), cursor: undefined }, filters);
  expect(objects.map(({ fileid }) => fileid)).toEqual(["a/x.jpg"]);
  expect([failures.map(({ shown }) => shown).sort(), ignored]).toEqual([["loop", deep].sort(), 2]);
});

test("a folder without the right to read it is reported, whatever the filters", async () => {
  put("closed/x.jpg");
  put("y.jpg");
  for (const path of [root, join(root, "y.jpg")]) chmodSync(path, 0o755);
  chmodSync(join(root, "closed"), 0);
  const script = `import { createLocalSource } from "./src/operate/migrations/sources/local.ts";
    for await (const page of createLocalSource({ root: process.argv[1], isNamedByMd5: false, folders: undefined }).list(undefined, new AbortController().signal))
      console.log(JSON.stringify(page));`;
  const node = [process.execPath, "--import", "tsx", "--input-type=module", "-e", script, root] as const;
  const [command = "", ...args] = process.getuid?.() === 0 ? [...WITHOUT_RIGHT, ...node] : node;
  const { objects, failures } = JSON.parse(execFileSync(command, args, { encoding: "utf8" }));
  expect(objects).toMatchObject([{ fileid: "y.jpg" }]);
  expect(failures).toEqual([
    { shown: "closed", reason: `[Errno 13] Permission denied: '${root}/closed'`, mayHoldNames: true },
  ]);
});

test("Local reports a link to itself and lists the others", async () => {
  put("b/y.jpg");
  symlinkSync("loop", join(root, "loop"));
  const { objects, failures } = await list();
  expect(objects.map(({ fileid }) => fileid)).toEqual(["b/y.jpg"]);
  const reason = `[Errno 40] Too many symbolic links encountered: '${root}/loop'`;
  expect(failures).toEqual([{ shown: "loop", reason, mayHoldNames: true }]);
});

test("Local fails a file that grows or is replaced in place while it is read", async () => {
  put("a.jpg", "x".repeat(600_000));
  const object = { fileid: "a.jpg", locator: join(root, "a.jpg") };
  for (const change of ["x".repeat(700_000), "y".repeat(600_000), "x".repeat(400_000)]) {
    const answer = await source().fetch({ object, maxBytes: 1_000_000, signal: new AbortController().signal });
    if (answer === undefined || answer.isNotModified) throw new Error("no answer");
    writeFileSync(object.locator, change);
    await expect(read(answer, true)).rejects.toMatchObject({ code: expect.stringMatching(/^origin_/) });
  }
});

test("Local_MD5 names each file by the MD5 of its content", async () => {
  put("a/one.jpg", "one");
  put("b/two.jpg", "one");
  const { objects } = await list(true);
  expect(objects.map(({ fileid }) => fileid)).toEqual(Array(2).fill("f97c5d29941bfb1b2fdab0874906ab82"));
});
