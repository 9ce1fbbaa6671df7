// The folder of a backup: one folder for each generation, which holds what a data folder holds. Generations share files
// by hard links. This file names, finds, publishes and removes generations; it does not fill them.
import { chmod, mkdir, opendir, readdir, readFile, realpath, rename, rm } from "node:fs/promises";
import { join, sep } from "node:path";
import * as z from "zod";
import { errorCodeOf } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { syncDirectory } from "../../core/files.ts";

const manifestSchema = z.object({
  /** FORMAT of the program that wrote it. */
  format: z.int().min(1),
  /** Version of that program. */
  program: z.string(),
  /** The id of the server, from its data folder; empty if it has none. */
  server: z.string(),
  /** Bytes of each pack, from its beginning, that were verified and are whole. */
  packs: z.record(z.string().regex(/^\d+$/), z.int().min(0)),
});
/** The note of a generation, which is written last. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

export interface Generation {
  /** The time at which it was begun, such as 20261103T024500123Z. */
  readonly name: string;
  readonly path: string;
  readonly manifest: Manifest;
}

/** Raised with every change after which an earlier program could not restore. */
export const FORMAT = 1;
export const MANIFEST = "backup.json";
/** The settings file in a generation. */
export const SETTINGS = "huiyuan.yaml";
const UNFINISHED = "huiyuan-unfinished";
const NAME = /^\d{8}T\d{9}Z$/;

const unfinishedIn = (dir: string) => join(dir, UNFINISHED);

/** Makes the folder of the generation that is written next. Removes what an interrupted backup has left. */
export async function beginGeneration(dir: string): Promise<string> {
  await rm(unfinishedIn(dir), { recursive: true, force: true });
  await mkdir(unfinishedIn(dir), { mode: 0o700 });
  return unfinishedIn(dir);
}

/** The names of all generations, oldest first; empty if there is no such folder. */
export async function generationNames(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => NAME.test(name)).sort();
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Throws request_invalid if it is no generation, has a newer format, or holds a link, pipe, socket or device. */
export async function readGeneration(dir: string, name: string): Promise<Generation> {
  const path = join(dir, name);
  try {
    await refuseSpecialFiles(path);
    const manifest: Partial<Manifest> = JSON.parse(await readFile(join(path, MANIFEST), "utf8")); // as yet unchecked
    const { format, program } = manifest;
    if (typeof format === "number" && format > FORMAT) {
      const newer = `it was written by a newer huiyuan (${JSON.stringify(program)}), in format ${format}`;
      throw refusal(`Cannot use "${path}": ${newer}; this one knows format ${FORMAT}`);
    }
    return { name, path, manifest: manifestSchema.parse(manifest) };
  } catch (error) {
    if (error instanceof HuiyuanError) throw error;
    const found = `it is no backup, because its ${MANIFEST} is missing or damaged`;
    throw refusal(`Cannot use "${path}": ${found}; move it away`, error);
  }
}

/** The error request_invalid with this message. */
export const refusal = (message: string, cause?: unknown) => new HuiyuanError("request_invalid", message, { cause });

/** Throws request_invalid for all but files and folders, unopened: a link leads elsewhere, a pipe hangs. */
async function refuseSpecialFiles(folder: string): Promise<void> {
  for await (const entry of await opendir(folder)) {
    const path = join(folder, entry.name);
    const isPlain = entry.isDirectory() || entry.isFile();
    // A backup makes none. SQLite would follow it: a journal may name any file, which is then removed.
    if (!isPlain || /-(?:journal|wal|shm)$/i.test(entry.name))
      throw refusal(`Cannot use the backup: "${path}" is no ${isPlain ? "part of one" : "plain file"}; move it away`);
    if (entry.isDirectory()) await refuseSpecialFiles(path);
  }
}

/**
 * Creates the folder, or checks that it is one of backups. Throws request_invalid if it holds other things, or lies in
 * the data folder.
 */
export async function prepareBackups(dir: string, data: string): Promise<void> {
  const refuse = (found: string): never => {
    throw refusal(`Cannot back up to "${dir}": ${found}`);
  };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const [target, source] = [await realpath(dir), await realpath(data)];
  const contains = (outer: string, inner: string) => `${inner}${sep}`.startsWith(`${outer}${sep}`);
  if (contains(source, target) || contains(target, source)) refuse(`it overlaps the data folder "${data}"`);
  const names = (await readdir(dir)).filter((name) => name !== UNFINISHED);
  const isKnown = names.some((name) => NAME.test(name));
  if (names.length > 0 && !isKnown) refuse(`it holds other things ("${names[0]}"); name an empty or a new folder`);
  if (!isKnown) await chmod(dir, 0o700);
}

/** The name of a new generation. Throws request_invalid if the newest one is of a later time. */
export function newName(newest: string | undefined, now: Date): string {
  const name = now.toISOString().replace(/[-:.]/g, "");
  if (newest === undefined || newest < name) return name;
  const next = "check the clock, or remove it if its time is wrong";
  throw refusal(`Cannot name a new backup: "${newest}" is of a later time; ${next}`);
}

/** Makes the written generation, which is synced, one of the backup in one step. */
export async function publish(dir: string, name: string): Promise<void> {
  await rename(unfinishedIn(dir), join(dir, name));
  syncDirectory(dir);
}

/** Removes all but the newest generations. Returns the number of those that are left. */
export async function prune(dir: string, keep: number): Promise<number> {
  const names = await generationNames(dir);
  for (const name of names.slice(0, -keep)) {
    // Renamed first, so that a kill never leaves a generation with missing files.
    await rename(join(dir, name), unfinishedIn(dir));
    await rm(unfinishedIn(dir), { recursive: true });
  }
  return Math.min(names.length, keep);
}
