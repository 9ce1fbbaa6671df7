// What a crash leaves between the end of a fill and its row in the bucket: a finished spool file with a note beside it.
// At start such files are adopted after their bytes have been hashed again; every other spool file is removed.
import { readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../body/hashing.ts";
import { SPOOL_SUFFIX } from "../body/spool.ts";
import type { PutCondition } from "../bucket/driver.ts";
import { asHuiyuanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ObjectInfo } from "../object.ts";
import type { Stored } from "./stored.ts";
import type { WriteBackTask } from "./write-back.ts";

const NOTE_SUFFIX = ".json";
const MAX_NOTE_BYTES = 65_536;

interface Note {
  readonly bucketId: string;
  readonly epoch: number;
  readonly replaces?: string | undefined;
  readonly info: ObjectInfo;
}

/** What a fetched body is stored on: nothing, or the version that it was fetched to replace. */
export function conditionOf({ epoch, replaces }: Pick<Note, "epoch" | "replaces">): PutCondition {
  return replaces === undefined ? { when: "absent", epoch } : { when: "etag", etag: replaces, epoch };
}

/** Writes the note of a body on disk and returns its path; undefined for a body in memory, which dies with the process. */
export async function leaveNote(task: WriteBackTask, log: Log): Promise<string | undefined> {
  if (task.body.content.kind !== "file") return undefined;
  const path = task.body.content.path + NOTE_SUFFIX;
  const { epoch, replaces, info } = task;
  const note: Note = { bucketId: task.stored.bucketId, epoch, replaces, info };
  try {
    await writeFile(path, JSON.stringify(note), { flag: "wx", mode: 0o600 });
    return path;
  } catch (error) {
    // Without a note a crash costs one more fetch, nothing else.
    log.warn({ err: error }, "cannot leave a note beside a spool file");
    return undefined;
  }
}

export async function removeNote(path: string | undefined): Promise<void> {
  if (path !== undefined) await rm(path, { force: true }).catch(() => undefined); // A stale note names no file and is removed at the next start.
}

export interface AdoptOptions {
  readonly dir: string;
  /** The buckets that the settings name; a body for another one is removed. */
  readonly storedOf: (bucketId: string) => Stored | undefined;
  readonly log: Log;
}

/**
 * Call before the first fill. The returned `removed` is final; `adopting` goes on in the background, one file at a
 * time, and resolves with the number of objects stored.
 */
export async function adoptSpoolFiles(options: AdoptOptions): Promise<{ removed: number; adopting: Promise<number> }> {
  const names = await readdir(options.dir);
  const noted = new Set(
    names.filter((name) => name.endsWith(NOTE_SUFFIX)).map((name) => name.slice(0, -NOTE_SUFFIX.length)),
  );
  let removed = 0;
  const finished: string[] = [];
  for (const name of names) {
    if (name.endsWith(SPOOL_SUFFIX) && noted.has(name)) {
      finished.push(join(options.dir, name));
    } else if (
      name.endsWith(SPOOL_SUFFIX) ||
      (name.endsWith(NOTE_SUFFIX) && !names.includes(name.slice(0, -NOTE_SUFFIX.length)))
    ) {
      await unlink(join(options.dir, name));
      removed += 1;
    }
  }
  return { removed, adopting: adoptAll(finished, options) };
}

async function adoptAll(paths: readonly string[], options: AdoptOptions): Promise<number> {
  let adopted = 0;
  for (const path of paths) {
    try {
      if (await adopt(path, options)) adopted += 1;
    } catch (error) {
      const failure = asHuiyuanError(error);
      const isPassing = failure.code === "store_full" || failure.code === "store_failed";
      options.log.warn({ err: failure, isLeft: isPassing }, "cannot adopt a spool file");
      // The disk may be well again at the next start, and the file is all there is of the image.
      if (isPassing) continue;
    }
    await rm(path, { force: true });
    await removeNote(path + NOTE_SUFFIX);
  }
  return adopted;
}

/** False: nothing to adopt, or the bucket has moved on. Throws where reading or storing fails. */
async function adopt(path: string, { storedOf }: AdoptOptions): Promise<boolean> {
  const note = await readNote(path + NOTE_SUFFIX);
  const stored = note === undefined ? undefined : storedOf(note.bucketId);
  if (note === undefined || stored === undefined) return false;
  const body = await hashFile(path);
  if (body.size !== note.info.size || body.hashes.sha256 !== note.info.hashes.sha256) return false;
  return (await stored.put(note.info, body, conditionOf(note))) === "stored";
}

async function readNote(path: string): Promise<Note | undefined> {
  if ((await stat(path)).size > MAX_NOTE_BYTES) return undefined;
  try {
    // Written by this program into its own folder; the hash decides whether the file is what the note says.
    return JSON.parse(await readFile(path, "utf8")) as Note;
  } catch {
    return undefined; // Torn by the crash: the image is fetched again.
  }
}
