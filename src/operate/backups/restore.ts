// Copies a generation of a backup into an empty data folder and verifies it.
import { existsSync } from "node:fs";
import { copyFile, mkdir, opendir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { storeFailure } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { syncDirectory, syncFile } from "../../core/files.ts";
import { type Inventory, openInventory } from "../../serve/bucket/fs/catalogue/inventory.ts";
import { LOCKS, lockData, UNFINISHED_RESTORE } from "../../serve/bucket/fs/lock.ts";
import type { BackupOptions, BackupReport } from "./backup.ts";
import { type Generation, generationNames, MANIFEST, readGeneration, refusal, SETTINGS } from "./generations.ts";
import { unlessMissing } from "./placing.ts";
import { type Damage, verifyBlobs } from "./verify.ts";

export interface RestoreOptions extends Pick<BackupOptions, "dir" | "signal" | "onProgress"> {
  /** Name of the generation; undefined: the newest. */
  readonly generation: string | undefined;
  /** The data folder: missing, empty, or with what an interrupted restore has left. */
  readonly data: string;
}

/** `path`: that of the restored generation. */
export type RestoreReport = Pick<BackupReport, "path" | "objects" | "bytes" | keyof Damage>;

/**
 * Throws request_invalid if there is no such backup, if it is of a newer format or if the data folder is not empty, and
 * data_locked if a server runs; nothing has changed then. Throws store_failed and store_full.
 */
export async function restoreBackup({ dir, data, ...options }: RestoreOptions): Promise<RestoreReport> {
  const { signal, onProgress } = options;
  const { generation, inventory } = await findGeneration(dir, options.generation);
  try {
    const unlock = await lockEmpty(data);
    try {
      const marker = join(data, UNFINISHED_RESTORE);
      if (existsSync(marker)) await removeLeft(data);
      await writeFile(marker, "");
      syncDirectory(data);
      const { objects, bytes } = inventory.totals();
      await copyFolder(generation.path, data, onProgress("placing", bytes), signal);
      const { damage } = await verifyBlobs({
        ...{ folder: data, inventory, signal, verifiedUntil: () => 0, isVerified: async () => false },
        onDamagedFile: async () => undefined, // The server quarantines it.
        onBytes: onProgress("verifying", bytes),
      });
      await rm(marker);
      syncDirectory(data);
      return { path: generation.path, objects, bytes, ...damage };
    } finally {
      unlock();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw storeFailure(error, `restore "${generation.path}" to "${data}"`);
  } finally {
    inventory.close();
  }
}

/** Throws request_invalid and store_failed. If the generation is damaged, the message names the others. */
async function findGeneration(dir: string, wanted: string | undefined) {
  const names = await generationNames(dir).catch((error: unknown) => {
    throw storeFailure(error, `restore from "${dir}"`);
  });
  if (names.length === 0 && existsSync(join(dir, MANIFEST))) {
    const next = `name the folder above it, with --generation ${basename(resolve(dir))}`;
    throw refusal(`Cannot restore from "${dir}": it is a single backup; ${next}`);
  }
  const name = wanted ?? names.at(-1);
  if (name !== undefined && names.includes(name))
    return openGeneration(dir, name).catch((error: unknown) => {
      const others = names.filter((each) => each !== name);
      const { code, message } = storeFailure(error, `restore "${join(dir, name)}"`);
      const next = others.length === 0 ? "there is no other one" : `others for --generation: ${others.join(", ")}`;
      throw new HuiyuanError(code, `${message}; ${next}`, { cause: error });
    });
  const isNone = existsSync(dir) ? "it is no backup" : "there is no such folder";
  const found = names.length === 0 ? isNone : `it has no "${wanted}", but ${names.join(", ")}`;
  throw refusal(`Cannot restore from "${dir}": ${found}`);
}

/** Checks all but the bytes of images. Throws as readGeneration(), refuseNewer() and Inventory.check(). */
async function openGeneration(dir: string, name: string) {
  const generation = await readGeneration(dir, name);
  const inventory = openInventory(join(generation.path, "catalogue.db"));
  try {
    refuseNewer(generation, inventory);
    inventory.check();
    return { generation, inventory };
  } catch (error) {
    inventory.close();
    throw error;
  }
}

function refuseNewer({ path, manifest }: Generation, { version, ownVersion }: Inventory): void {
  if (version <= ownVersion) return;
  const found = `its catalogue was written by a newer huiyuan (${manifest.program})`;
  throw refusal(`Cannot restore "${path}": ${found}; run that one`);
}

/** Returns the function that releases the data lock. */
async function lockEmpty(data: string): Promise<() => void> {
  const names = (await unlessMissing(readdir(data))) ?? [];
  // A running server is the better reason.
  const unlock = names.some((name) => LOCKS.includes(name)) ? lockData(data) : undefined;
  // A file system that is mounted here has lost+found.
  const others = names.filter((name) => !LOCKS.includes(name) && name !== "lost+found");
  if (others.length > 0 && !names.includes(UNFINISHED_RESTORE)) {
    unlock?.();
    const found = `it is not empty ("${others[0]}")`;
    throw refusal(`Cannot restore to the data folder "${data}": ${found}; move it away`);
  }
  return unlock ?? lockData(data);
}

/** Removes what an interrupted restore has left, which may be of another generation, but not its mark. */
async function removeLeft(data: string): Promise<void> {
  const stays = [...LOCKS, UNFINISHED_RESTORE, "lost+found"];
  for (const name of await readdir(data))
    if (!stays.includes(name)) await rm(join(data, name), { recursive: true, force: true });
}

/** Copies and syncs all files. */
async function copyFolder(
  from: string,
  to: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(to, { recursive: true });
  for await (const entry of await opendir(from)) {
    signal.throwIfAborted();
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyFolder(source, target, onBytes, signal);
    else if (entry.name !== MANIFEST && entry.name !== SETTINGS) {
      await copyFile(source, target);
      await syncFile(target);
      onBytes((await stat(target)).size);
    }
  }
  syncDirectory(to);
}
