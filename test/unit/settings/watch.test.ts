import { execFileSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdir, mkdtemp, rename, rm, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSettingsReader } from "../../../src/settings/edit/text-jobs.ts";
import { watchSettings } from "../../../src/settings/watch.ts";
import { MINIMAL } from "./parse.ts";

const POLL_MS = 10;

let folder: string;
let file: string;
let end: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-watch-"));
  file = join(folder, "huiyuan.yaml");
  end = new AbortController();
  await writeFile(file, MINIMAL);
});
afterEach(async () => {
  end.abort();
  await rm(folder, { recursive: true });
});

/** Starts a watch. `next()` resolves at the next change; its timeout names the awaited change. */
async function start(pollMs: number) {
  const changes = new EventEmitter();
  let count = 0;
  const onChange = () => {
    count++;
    changes.emit("change");
  };
  const { names } = createSettingsReader({ file, env: {} });
  await watchSettings({ file, onChange, names, pollMs, signal: end.signal });
  return {
    count: () => count,
    next: (what: string) =>
      once(changes, "change", { signal: AbortSignal.timeout(5000) }).catch(() => {
        throw new Error(`no change seen: ${what}`);
      }),
  };
}

test("watchSettings() reports a file that is written in place", async () => {
  const watch = await start(POLL_MS);
  const seen = watch.next("write in place");
  await writeFile(file, `${MINIMAL}# new\n`);
  await seen;
});

test("watchSettings() reports a file that an editor renames over the old one", async () => {
  const watch = await start(POLL_MS);
  const seen = watch.next("rename");
  await writeFile(join(folder, ".tmp"), `${MINIMAL}# new\n`);
  await rename(join(folder, ".tmp"), file);
  await seen;
});

test("watchSettings() reports a config map whose folder link is swapped", async () => {
  for (const name of ["v1", "v2"]) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, "huiyuan.yaml"), `${MINIMAL}# ${name}\n`);
  }
  await symlink("v1", join(folder, "..data"));
  await unlink(file);
  await symlink(join("..data", "huiyuan.yaml"), file);
  const watch = await start(POLL_MS);
  const seen = watch.next("swapped link");
  await symlink("v2", join(folder, "..new"));
  await rename(join(folder, "..new"), join(folder, "..data"));
  await seen;
});

test("watchSettings() finds a change of a file that is linked from another folder", async () => {
  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, "real.yaml"), MINIMAL);
  await unlink(file);
  await symlink(join("elsewhere", "real.yaml"), file);
  const watch = await start(POLL_MS);
  const seen = watch.next("linked file");
  await writeFile(join(elsewhere, "real.yaml"), `${MINIMAL}# new\n`);
  await seen;
});

test("watchSettings() reports new content of a secret's file", async () => {
  const secrets = join(folder, "secrets");
  await mkdir(secrets);
  await writeFile(join(secrets, "key"), "one");
  await writeFile(file, MINIMAL.replace("SECRET", '"file:secrets/key"'));
  const watch = await start(POLL_MS);
  const seen = watch.next("secret");
  await writeFile(join(secrets, "key"), "two");
  await seen;
});

test("watchSettings() sees that a bucket's page has changed or is gone", async () => {
  const page = join(folder, "404.html");
  await writeFile(page, "one");
  await writeFile(file, MINIMAL.replace("name: photos", "name: photos, notFound: { file: ./404.html }"));
  const watch = await start(POLL_MS);
  for (const change of [() => writeFile(page, "another"), () => unlink(page)]) {
    const seen = watch.next("page");
    await change();
    await seen;
  }
});

test("watchSettings() reports once that the file is gone, and that it is back", async () => {
  const watch = await start(50);
  const gone = watch.next("gone");
  await unlink(file);
  await gone;
  await new Promise((resolve) => setTimeout(resolve, 200)); // Several looks, which must say nothing.
  expect(watch.count()).toBe(1);
  const back = watch.next("back");
  await writeFile(file, MINIMAL);
  await back;
});

test("watchSettings() reports no equal content and no short absence of the file", async () => {
  const watch = await start(100);
  await unlink(file);
  await writeFile(file, MINIMAL);
  const seen = watch.next("change after equal content");
  await writeFile(join(folder, ".tmp"), `${MINIMAL}# new\n`);
  await rename(join(folder, ".tmp"), file);
  await seen;
  expect(watch.count()).toBe(1);
});

test("watchSettings() reports a pipe and a too large file once each, and then a good file", async () => {
  const watch = await start(50);
  const next = join(folder, ".tmp");
  const put = async (what: string) => {
    const seen = watch.next(what);
    await rename(next, file);
    await seen;
    await new Promise((resolve) => setTimeout(resolve, 200)); // Several looks, which must say nothing.
  };
  execFileSync("mkfifo", [next]);
  await put("pipe");
  await writeFile(next, MINIMAL);
  await truncate(next, 1_048_577);
  await put("too large");
  await writeFile(next, MINIMAL);
  await put("good again");
  expect(watch.count()).toBe(3);
});
