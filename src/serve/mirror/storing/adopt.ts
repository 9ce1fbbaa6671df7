// At the start, hands the whole images that an earlier run left unstored to the write-back: finished spool files with a
// note beside them (note.ts). Their bytes are hashed again first. Every other spool file is removed.
import { rmSync } from "node:fs";
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hashFile } from "../../body/spool/hashing.ts";
import { SPOOL_SUFFIX, type WholeBody } from "../../body/spool/spool.ts";
import type { Stored } from "../stored/stored.ts";
import { validatedAt } from "../stored/versions.ts";
import { NOTE_SUFFIX, type Note, readNote } from "./recovery-file.ts";
import type { WriteBack, WriteBackTask } from "./write-back.ts";

interface Found {
  readonly path: string;
  readonly note: Note;
  readonly stored: Stored;
}

/**
 * Call it before the first fill. Throws if the folder cannot be read. `storedOf`: the buckets of the settings; a body
 * for any other bucket is removed. Returns the number of images that are pending now, and of removed files.
 */
export async function adoptSpoolFiles({
  dir,
  storedOf,
  writeBack,
}: {
  readonly dir: string;
  readonly storedOf: (bucketId: string) => Stored | undefined;
  readonly writeBack: Pick<WriteBack, "store">;
}) {
  const names = (await readdir(dir)).filter((name) => name.endsWith(SPOOL_SUFFIX) || name.endsWith(NOTE_SUFFIX));
  const found: Found[] = [];
  for (const name of names) {
    const path = join(dir, name);
    const note = names.includes(name + NOTE_SUFFIX) ? await readNote(path + NOTE_SUFFIX) : undefined;
    const stored = note && storedOf(note.bucketId);
    if (note !== undefined && stored !== undefined) found.push({ path, note, stored });
  }
  const adopted = new Set(found.flatMap(({ path }) => [path, path + NOTE_SUFFIX]));
  const others = names.map((name) => join(dir, name)).filter((path) => !adopted.has(path));
  for (const path of others) await unlink(path);
  // The image that was requested last wins, if a key has several.
  found.sort((one, other) => validatedAt(one.note.info) - validatedAt(other.note.info));
  let hashing: Promise<unknown> = Promise.resolve();
  /** One file at a time. Undefined: it has other bytes than its note says. */
  const prove = ({ path, note: { info } }: Found) => {
    const hashed = hashing.then(() => hashFile(path));
    hashing = hashed.catch(() => undefined);
    const isSame = ({ size, hashes }: WholeBody) => size === info.size && hashes.sha256 === info.hashes.sha256;
    return hashed.then((body) => (isSame(body) ? body : undefined));
  };
  const storing = found.map((each) => writeBack.store(taskOf(each, () => prove(each))));
  return {
    adopted: found.length,
    removed: others.length,
    /** Resolves once each image is stored or given up. */
    done: Promise.all(storing),
  };
}

/** Before the bytes are hashed again. */
const NO_SUMS = Buffer.alloc(0);

function taskOf({ path, note, stored }: Found, prove: WriteBackTask["prove"]): WriteBackTask {
  const { info, epoch, replaces } = note;
  const { size, hashes } = info;
  const body: WholeBody = { size, hashes, blockSums: NO_SUMS, content: { kind: "file", path } };
  const spool = { release: () => rmSync(path, { force: true }) };
  return { stored, info, epoch, replaces, body, spool, prove, note: path + NOTE_SUFFIX };
}
