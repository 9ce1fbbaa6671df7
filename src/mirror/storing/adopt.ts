// Stores, at start, the images that an earlier run left as finished spool files with a note beside them (note.ts).
// Their bytes are hashed again first. Every other spool file is removed.
import { readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../body/spool/hashing.ts";
import { SPOOL_SUFFIX } from "../../body/spool/spool.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import { NOTE_SUFFIX, type Note, readNote, removeNote } from "./note.ts";
import { putFetched } from "./put-fetched.ts";
import { validatedAt } from "./versions.ts";

export interface AdoptOptions {
  readonly dir: string;
  /** The buckets of the settings; a body for any other bucket is removed. */
  readonly storedOf: (bucketId: string) => Stored | undefined;
  readonly log: Log;
  /**
   * Bytes of files that the store still refuses and that are left for the next start; the others are removed. Default:
   * all.
   */
  readonly maxLeftBytes?: () => number;
}

/** `left`: the file stays for the next start, because the store refused it. */
type Adopted = "stored" | "dropped" | "left";

/** The adoption of one file. */
interface Adoption {
  /** Stores or removes the file. Runs once, however often it is called; never rejects. */
  readonly finish: () => Promise<Adopted>;
  /** Unregisters the file, so that look-ups no longer wait for it. */
  readonly unregister: () => void;
}

/**
 * Call it before the first fill. The returned `removed` is final. `adopting` continues in the background, one file at a
 * time, and resolves with the number of objects stored. A look-up of one of the objects stores it first.
 */
export async function adoptSpoolFiles(options: AdoptOptions): Promise<{ removed: number; adopting: Promise<number> }> {
  const names = await readdir(options.dir);
  const noted = new Set(
    names.filter((name) => name.endsWith(NOTE_SUFFIX)).map((name) => name.slice(0, -NOTE_SUFFIX.length)),
  );
  let removed = 0;
  const adoptions: Adoption[] = [];
  const mayBeLeft = createAllowance(options.maxLeftBytes);
  for (const name of names) {
    const path = join(options.dir, name);
    if (name.endsWith(SPOOL_SUFFIX) && noted.has(name)) {
      adoptions.push(await register(path, mayBeLeft, options));
    } else if (
      name.endsWith(SPOOL_SUFFIX) ||
      (name.endsWith(NOTE_SUFFIX) && !names.includes(name.slice(0, -NOTE_SUFFIX.length)))
    ) {
      await unlink(path);
      removed += 1;
    }
  }
  return { removed, adopting: adoptAll(adoptions) };
}

/** Whether one more file of so many bytes may stay; the bytes of those that do are counted. */
function createAllowance(maxBytes = () => Number.POSITIVE_INFINITY): (bytes: number) => boolean {
  let taken = 0;
  return (bytes) => {
    if (taken >= maxBytes()) return false;
    taken += bytes;
    return true;
  };
}

async function register(
  path: string,
  mayBeLeft: LeftFile["mayBeLeft"],
  { storedOf, log }: AdoptOptions,
): Promise<Adoption> {
  const note = await readNote(path + NOTE_SUFFIX);
  const stored = note === undefined ? undefined : storedOf(note.bucketId);
  let adopted: Promise<Adopted> | undefined;
  const finish = () => {
    adopted ??= storeOrRemove(path, { note, stored, log, mayBeLeft });
    return adopted;
  };
  if (note === undefined || stored === undefined) return { finish, unregister: () => undefined };
  const unregister = stored.recovered.add(note.info.key, {
    store: async () => (await finish()) === "left",
    async invalidate({ requestedAt, fate }) {
      if (validatedAt(note.info) > requestedAt) return;
      const outcome = await finish();
      if (outcome === "stored") await stored.invalidateVersion(note.info, note.epoch, fate);
      if (outcome !== "left") return;
      await discard(path);
      unregister();
    },
  });
  return { finish, unregister };
}

async function discard(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined); // The next start tries again.
  await removeNote(path + NOTE_SUFFIX);
}

async function adoptAll(adoptions: readonly Adoption[]): Promise<number> {
  let adopted = 0;
  for (const { finish, unregister } of adoptions) {
    const outcome = await finish();
    if (outcome === "stored") adopted += 1;
    if (outcome !== "left") unregister();
  }
  return adopted;
}

interface LeftFile {
  readonly note: Note | undefined;
  readonly stored: Stored | undefined;
  readonly log: Log;
  readonly mayBeLeft: (bytes: number) => boolean;
}

/** Afterwards the file and its note are removed, unless the store may accept them at the next start. */
async function storeOrRemove(path: string, left: LeftFile): Promise<Adopted> {
  let isAdopted = false;
  try {
    isAdopted = await adopt(path, left);
  } catch (error) {
    const failure = asHuiyuanError(error);
    const isRetryable = failure.code === "store_full" || failure.code === "store_failed";
    const isLeft = isRetryable && left.mayBeLeft(left.note?.info.size ?? 0);
    left.log.warn({ err: failure, isLeft }, "cannot adopt a spool file");
    // The file is the only copy of the image.
    if (isLeft) return "left";
  }
  await discard(path);
  return isAdopted ? "stored" : "dropped";
}

/** False: there is nothing to adopt, or the key has changed since. Throws if reading or storing fails. */
async function adopt(path: string, { note, stored }: LeftFile): Promise<boolean> {
  if (note === undefined || stored === undefined) return false;
  const body = await hashFile(path);
  if (body.size !== note.info.size || body.hashes.sha256 !== note.info.hashes.sha256) return false;
  return (await putFetched(stored, body, note)) === "stored";
}
