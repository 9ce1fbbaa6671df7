// Keeps uploads in slices on the disk: a note `<id>.json` and the received bytes `<id>.part`. Acknowledged bytes are
// durable. slices.ts decides which slice is accepted.
import { constants, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { storeFailure } from "../../../core/disk-failure.ts";
import { isKey, type Key } from "../../../core/object.ts";

/**
 * An upload of an earlier run. `bytes`: size of its file, which may end in an unacknowledged slice; undefined: no file.
 */
export interface FoundSlices {
  readonly id: string;
  readonly note: SliceNote;
  readonly bytes: number | undefined;
}

/** Every change is durable when it resolves. Throws store_full, store_failed. */
export interface SliceFolder {
  /** Reads all uploads and removes every other file of the folder. */
  read(): Promise<readonly FoundSlices[]>;
  begin(id: string, note: SliceNote): Promise<void>;
  rewrite(id: string, note: SliceNote): Promise<void>;
  /** Writes `chunks` from byte `from` on, and overwrites bytes of a failed attempt. */
  append(id: string, from: number, chunks: AsyncIterable<Buffer>): Promise<void>;
  pathOf(id: string): string;
  /** Best effort, as `remove`: files that stay are removed at the next start. */
  removeBytes(id: string): Promise<void>;
  remove(id: string): Promise<void>;
}

const NOTE = ".json";
const BYTES = ".part";
const MAX_NOTE_BYTES = 524_288;
/** Unlike `a`, creates no file: missing bytes are a failure. */
const APPENDING = constants.O_WRONLY | constants.O_APPEND;

export function createSliceFolder(dir: string): SliceFolder {
  const notePath = (id: string) => join(dir, id + NOTE);
  const bytesPath = (id: string) => join(dir, id + BYTES);
  const removeBytes = (id: string) => removeBestEffort(bytesPath(id));

  async function writeWhole(id: string, note: SliceNote): Promise<void> {
    const fresh = join(dir, `${id}.new`);
    await withFile(fresh, "w", async (file) => {
      await file.writeFile(JSON.stringify(note));
      await file.sync();
    });
    await rename(fresh, notePath(id));
    await withFile(dir, "r", (folder) => folder.sync());
  }

  async function readOne(id: string): Promise<FoundSlices | undefined> {
    const path = notePath(id);
    if ((await stat(path)).size > MAX_NOTE_BYTES) return undefined;
    const note = readNote(await readFile(path, "utf8"));
    const bytes = await stat(bytesPath(id)).then(
      ({ size }) => size,
      () => undefined,
    );
    return note && { id, note, bytes };
  }

  return {
    read: () =>
      withStoreFailure(`read "${dir}"`, async () => {
        await mkdir(dir, { recursive: true });
        const names = await readdir(dir);
        const found: FoundSlices[] = [];
        const unreadable: string[] = [];
        for (const name of names.filter((file) => file.endsWith(NOTE))) {
          const id = name.slice(0, -NOTE.length);
          const slices = await readOne(id).catch(() => "unreadable" as const); // It may be readable at the next start.
          if (slices === "unreadable") unreadable.push(id);
          else if (slices !== undefined) found.push(slices);
        }
        const kept = new Set([...found.map(({ id }) => id), ...unreadable].flatMap((id) => [id + NOTE, id + BYTES]));
        for (const name of names) if (!kept.has(name)) await rm(join(dir, name), { recursive: true, force: true });
        return found;
      }),
    begin: (id, note) =>
      withStoreFailure(`begin an upload in "${dir}"`, async () => {
        await withFile(bytesPath(id), "wx", async () => {});
        await writeWhole(id, note);
      }),
    rewrite: (id, note) => withStoreFailure(`write "${notePath(id)}"`, () => writeWhole(id, note)),
    append: (id, from, chunks) =>
      withStoreFailure(`write "${bytesPath(id)}"`, () =>
        withFile(bytesPath(id), APPENDING, async (file) => {
          await file.truncate(from);
          for await (const chunk of chunks) await file.writeFile(chunk);
          await file.datasync();
        }),
      ),
    pathOf: bytesPath,
    removeBytes,
    async remove(id) {
      // The note first, because the next start removes bytes without a note.
      await removeBestEffort(notePath(id));
      await removeBytes(id);
    },
  };
}

async function withFile<Result>(
  path: string,
  flags: string | number,
  run: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, flags, 0o600);
  try {
    return await run(file);
  } finally {
    await file.close();
  }
}

function removeBestEffort(path: string): Promise<void> {
  return rm(path, { force: true }).catch(() => undefined); // The next start tries again.
}

async function withStoreFailure<Result>(action: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw storeFailure(error, action);
  }
}

/** The declaration of the client, and the values that the server chose at the start of the upload. */
export interface SliceOrder {
  readonly appid: string;
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  /** Fileid of the URL; undefined if the server chose one. */
  readonly requested: Key | undefined;
  readonly fileid: Key;
  /** SHA-1 of the whole image, in lower-case hex. */
  readonly sha1: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes; the last slice may be shorter. */
  readonly sliceSize: number;
  readonly magicContext: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
}

/** `arriving`: slices arrive; `storing`: the image is being put and may be durable; `stored`: it is durable. */
export type SlicePhase = "arriving" | "storing" | "stored";

/** The note of an upload, written beside its bytes so that the upload continues after a restart. */
export interface SliceNote {
  readonly order: SliceOrder;
  readonly phase: SlicePhase;
}

const PHASES: readonly SlicePhase[] = ["arriving", "storing", "stored"];

/** Undefined if the text is no note. Notes are renamed into place whole, so their other fields need no check. */
function readNote(text: string): SliceNote | undefined {
  try {
    const note: SliceNote = JSON.parse(text);
    return PHASES.includes(note.phase) && isKey(note.order.fileid) ? note : undefined;
  } catch {
    return undefined; // Another program wrote it.
  }
}
