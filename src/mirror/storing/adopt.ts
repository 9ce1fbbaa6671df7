// What a crash leaves between the end of a fill and its row in the bucket: a finished spool file with a note beside it.
// At start such files are adopted after their bytes have been hashed again; every other spool file is removed.
import { readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../body/spool/hashing.ts";
import { SPOOL_SUFFIX } from "../../body/spool/spool.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Stored } from "../stored/stored.ts";
import { NOTE_SUFFIX, type Note, readNote, removeNote } from "./note.ts";
import { putFetched } from "./put-fetched.ts";
import { spokenAt } from "./versions.ts";

export interface AdoptOptions {
  readonly dir: string;
  /** The buckets that the settings name; a body for another one is removed. */
  readonly storedOf: (bucketId: string) => Stored | undefined;
  readonly log: Log;
  /** Of files that the store still does not take, so many bytes are left for the next start; the others are removed. Default: all. */
  readonly maxLeftBytes?: () => number;
}

/** `left`: for the next start; the store may take it then. */
type Adopted = "stored" | "dropped" | "left";

/** Of one file. */
interface Adoption {
  /** Never rejects; done once, however often it is called. */
  readonly bring: () => Promise<Adopted>;
  /** Nobody waits for it any more. */
  readonly over: () => void;
}

/**
 * Call before the first fill. The returned `removed` is final; `adopting` goes on in the background, one file at a
 * time, and resolves with the number of objects stored. Whoever looks one of them up meanwhile has it stored first.
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
      adoptions.push(await announce(path, mayBeLeft, options));
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

/** Whether one more of so many bytes may stay; those that do are counted. */
function createAllowance(maxBytes = () => Number.POSITIVE_INFINITY): (bytes: number) => boolean {
  let taken = 0;
  return (bytes) => {
    if (taken >= maxBytes()) return false;
    taken += bytes;
    return true;
  };
}

async function announce(
  path: string,
  mayBeLeft: Left["mayBeLeft"],
  { storedOf, log }: AdoptOptions,
): Promise<Adoption> {
  const note = await readNote(path + NOTE_SUFFIX);
  const stored = note === undefined ? undefined : storedOf(note.bucketId);
  let adopted: Promise<Adopted> | undefined;
  const bring = () => {
    adopted ??= settle(path, { note, stored, log, mayBeLeft });
    return adopted;
  };
  if (note === undefined || stored === undefined) return { bring, over: () => undefined };
  const over = stored.recovered.add(note.info.key, {
    store: async () => (await bring()) === "left",
    async invalidate({ requestedAt, fate }) {
      if (spokenAt(note.info) > requestedAt) return;
      const outcome = await bring();
      if (outcome === "stored") await stored.invalidateVersion(note.info, note.epoch, fate);
      if (outcome !== "left") return;
      await discard(path);
      over();
    },
  });
  return { bring, over };
}

async function discard(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined); // A later start tries again.
  await removeNote(path + NOTE_SUFFIX);
}

async function adoptAll(adoptions: readonly Adoption[]): Promise<number> {
  let adopted = 0;
  for (const { bring, over } of adoptions) {
    const outcome = await bring();
    if (outcome === "stored") adopted += 1;
    if (outcome !== "left") over();
  }
  return adopted;
}

interface Left {
  readonly note: Note | undefined;
  readonly stored: Stored | undefined;
  readonly log: Log;
  readonly mayBeLeft: (bytes: number) => boolean;
}

/** The file and its note are gone afterwards, unless the disk may be well again at the next start. */
async function settle(path: string, left: Left): Promise<Adopted> {
  let isAdopted = false;
  try {
    isAdopted = await adopt(path, left);
  } catch (error) {
    const failure = asHuiyuanError(error);
    const isRetryable = failure.code === "store_full" || failure.code === "store_failed";
    const isLeft = isRetryable && left.mayBeLeft(left.note?.info.size ?? 0);
    left.log.warn({ err: failure, isLeft }, "cannot adopt a spool file");
    // The file is all there is of the image.
    if (isLeft) return "left";
  }
  await discard(path);
  return isAdopted ? "stored" : "dropped";
}

/** False: nothing to adopt, or the bucket has moved on. Throws where reading or storing fails. */
async function adopt(path: string, { note, stored }: Left): Promise<boolean> {
  if (note === undefined || stored === undefined) return false;
  const body = await hashFile(path);
  if (body.size !== note.info.size || body.hashes.sha256 !== note.info.hashes.sha256) return false;
  return (await putFetched(stored, body, note)) === "stored";
}
