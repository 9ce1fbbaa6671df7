// The source `Local`: the files below a folder. Symbolic links are followed, also to outside of it; a link to a folder
// that holds it is not. A folder is read entry by entry, never whole.
import type { Dir, Dirent, Stats } from "node:fs";
import { opendir, stat } from "node:fs/promises";
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import type { Source, SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { hashBody } from "./body-stream.ts";
import { errnoText, escapedName } from "./file-names.ts";
import { answerOf, openFile } from "./local-body.ts";

export interface LocalOptions {
  /** The absolute path of a folder, without a slash at its end. */
  readonly root: string;
  /** `Local_MD5`: the fileid is the MD5 of the content, lower-case hex. */
  readonly isNamedByMd5: boolean;
}

/** A folder whose entries are read. */
interface Frame {
  readonly path: Buffer;
  readonly entries: Dir;
  /** Device and inode. */
  readonly id: string;
  /** Folders that were found in it and are not read yet. */
  readonly folders: { readonly path: Buffer; readonly id: string }[];
}

/** Entries of one folder whose facts are read together. */
const BATCH = 128;
/** Objects of a page; the batch that reaches it is added whole. */
const PAGE = 512;
/** No object may have a longer name, so no folder below can hold one. */
const MAX_NAME_BYTES = 1_024;
const SLASH = Buffer.from("/");

export function createLocalSource(options: LocalOptions): Source {
  return {
    isResumable: false,
    list: (_after, signal) => listPages(options, signal),
    async fetch({ object: { locator }, maxBytes }): Promise<OriginAnswer | undefined> {
      const file = await openFile(locator);
      return file === undefined ? undefined : answerOf(file, maxBytes);
    },
    close: async () => undefined,
  };
}

async function* listPages(options: LocalOptions, signal: AbortSignal): AsyncGenerator<SourcePage, void, undefined> {
  const root = Buffer.from(options.root === "/" ? "" : options.root);
  const walk: Walk = { options, signal, prefix: root.byteLength + 1, frames: [], objects: [], failures: [] };
  try {
    const facts = await stat(options.root);
    await enter(walk, { path: root, id: idOf(facts) });
    while (walk.frames.length > 0) {
      signal.throwIfAborted();
      await step(walk);
      if (walk.objects.length + walk.failures.length >= PAGE) yield takePage(walk);
    }
    yield takePage(walk);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HuiyuanError) throw error;
    throw new HuiyuanError("origin_unexpected", errnoText(error, options.root), { cause: error });
  } finally {
    for (const { entries } of walk.frames) await entries.close().catch(() => undefined);
  }
}

interface Walk {
  readonly options: LocalOptions;
  readonly signal: AbortSignal;
  /** Bytes before the relative name of a path. */
  readonly prefix: number;
  /** From the root to the folder that is read now. */
  readonly frames: Frame[];
  objects: SourceObject[];
  failures: UnlistedObject[];
}

function takePage(walk: Walk): SourcePage {
  const { objects, failures } = walk;
  Object.assign(walk, { objects: [], failures: [] });
  return { objects, failures, cursor: undefined };
}

/** Enters the next folder, or reads the next entries of the current one. */
async function step(walk: Walk): Promise<void> {
  const frame = walk.frames.at(-1)!;
  const folder = frame.folders.pop();
  if (folder !== undefined) return enter(walk, folder).catch((error) => fail(walk, folder.path, error));
  const names: Buffer[] = [];
  while (names.length < BATCH) {
    const entry: Dirent | null = await frame.entries.read();
    if (entry === null) break;
    names.push(entry.name as unknown as Buffer); // opened with the encoding `buffer`
  }
  if (names.length === 0) {
    walk.frames.pop();
    return frame.entries.close();
  }
  const paths = names.map((name) => Buffer.concat([frame.path, SLASH, name]));
  await Promise.all(paths.map((path) => add(walk, frame, path).catch((error) => fail(walk, path, error))));
}

async function enter(walk: Walk, { path, id }: Frame["folders"][number]): Promise<void> {
  const options = { encoding: "buffer" as BufferEncoding, bufferSize: BATCH };
  const entries = await opendir((path.byteLength === 0 ? SLASH : path) as unknown as string, options);
  walk.frames.push({ path, entries, id, folders: [] });
}

async function add(walk: Walk, frame: Frame, path: Buffer): Promise<void> {
  const facts = await stat(path);
  const shown = () => shownName(walk, path);
  if (facts.isDirectory()) {
    const id = idOf(facts);
    if (walk.frames.some((outer) => outer.id === id)) return; // A link to a folder that holds it.
    if (path.byteLength - walk.prefix >= MAX_NAME_BYTES)
      walk.failures.push({ shown: shown(), reason: `The folder's name has more than ${MAX_NAME_BYTES} bytes` });
    else frame.folders.push({ path, id });
    return;
  }
  const name = path.subarray(walk.prefix);
  if (!facts.isFile()) walk.failures.push({ shown: shown(), reason: "It is no regular file" });
  else if (!isUtf8(path)) walk.failures.push({ shown: shown(), reason: "The name is not UTF-8" });
  else if (name.byteLength > MAX_NAME_BYTES)
    walk.failures.push({ shown: shown(), reason: `The name has more than ${MAX_NAME_BYTES} bytes` });
  else {
    const locator = path.toString();
    const fileid = walk.options.isNamedByMd5 ? await md5Of(locator, walk.signal) : name.toString();
    walk.objects.push({ fileid, locator, size: facts.size, version: String(facts.mtimeMs) });
  }
}

function fail(walk: Walk, path: Buffer, error: unknown): void {
  const shown = shownName(walk, path);
  const reason = error instanceof HuiyuanError ? error.message : errnoText(error, escapedName(path));
  walk.failures.push({ shown, reason });
}

const shownName = ({ prefix }: Walk, path: Buffer) => escapedName(path.subarray(prefix));

function isUtf8(path: Buffer): boolean {
  return Buffer.from(path.toString()).equals(path);
}

function idOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

async function md5Of(path: string, signal: AbortSignal): Promise<string> {
  const file = await openFile(path);
  if (file === undefined) throw new HuiyuanError("origin_unexpected", "It was removed during the scan");
  const { hashes } = await hashBody(answerOf(file, Number.POSITIVE_INFINITY).body, ["md5"], signal);
  return hashes.md5!;
}
