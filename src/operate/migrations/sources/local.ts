// The source `Local`: the files below a folder. Symbolic links are followed, also to outside of it, unless `folders`
// bound the reading; a link to a folder that holds it is not. A folder is read entry by entry, never whole.
import { isUtf8 } from "node:buffer";
import type { Dir, Stats } from "node:fs";
import { opendir, stat } from "node:fs/promises";
import { errorCodeOf } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Source, SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { hashBody } from "./body-stream.ts";
import { openFile } from "./local-body.ts";
import { assertBelow, errnoText, escapedName, type Folders } from "./local-paths.ts";

export interface LocalOptions {
  /** The absolute path of a folder, without a slash at its end. */
  readonly root: string;
  /** `Local_MD5`: the fileid is the MD5 of the content, lower-case hex. */
  readonly isNamedByMd5: boolean;
}

type Options = LocalOptions & { readonly folders: Folders };

interface Walk extends Omit<Options, "root"> {
  readonly signal: AbortSignal;
  /** Bytes before the relative name of a path. */
  readonly prefix: number;
  /** The objects of the next page, and its failures. */
  objects: SourceObject[];
  failures: UnlistedObject[];
}

interface Folder {
  readonly path: Buffer;
  /** Device and inode, of the folder and of those that hold it. */
  readonly ids: readonly string[];
}

/** Entries of one folder whose facts are read together. */
const BATCH = 128;
/** Objects of a page; the batch that reaches it is added whole. */
const PAGE = 512;
/** No object may have a longer name, so no folder below can hold one. */
const MAX_NAME_BYTES = 1_024;
const SLASH = Buffer.from("/");

export function createLocalSource(options: Options): Source {
  return {
    isResumable: false,
    list: (_after, signal) => listPages(options, signal),
    fetch: ({ object: { locator }, maxBytes }) => openFile(locator, maxBytes, options.folders),
    close: async () => undefined,
  };
}

async function* listPages({ root, ...options }: Options, signal: AbortSignal): AsyncIterable<SourcePage> {
  const path = Buffer.from(root === "/" ? "" : root);
  const walk: Walk = { ...options, signal, prefix: path.byteLength + 1, objects: [], failures: [] };
  try {
    assertBelow(root, walk.folders);
    const top = { path, ids: [idOf(await stat(root))] };
    yield* readFolder(walk, top, await openFolder(path));
    yield takePage(walk);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HuiyuanError) throw error;
    throw new HuiyuanError("origin_unexpected", errnoText(error, root), { cause: error });
  }
}

function openFolder(path: Buffer): Promise<Dir> {
  const options = { encoding: "buffer" as BufferEncoding, bufferSize: BATCH };
  return opendir((path.byteLength === 0 ? SLASH : path) as unknown as string, options);
}

/** Yields full pages; the objects of a page that is not full stay in `walk`. Closes `entries`. */
async function* readFolder(walk: Walk, folder: Folder, entries: Dir): AsyncIterable<SourcePage> {
  let paths: Buffer[] = [];
  for await (const { name } of entries) {
    paths.push(Buffer.concat([folder.path, SLASH, name as unknown as Buffer])); // opened with the encoding `buffer`
    if (paths.length < BATCH) continue;
    yield* readBatch(walk, folder, paths);
    paths = [];
  }
  yield* readBatch(walk, folder, paths);
}

async function* readBatch(walk: Walk, { ids }: Folder, paths: readonly Buffer[]) {
  walk.signal.throwIfAborted();
  const adding = paths.map((path) => add(walk, path, ids).catch((error) => failed(walk, path, error)));
  const found = await Promise.all(adding);
  if (walk.objects.length + walk.failures.length >= PAGE) yield takePage(walk);
  for (const folder of found) {
    const entries = folder && (await openFolder(folder.path).catch((error) => failed(walk, folder.path, error)));
    if (folder && entries) yield* readFolder(walk, folder, entries);
  }
}

function takePage(walk: Walk): SourcePage {
  const { objects, failures } = walk;
  Object.assign(walk, { objects: [], failures: [] });
  return { objects, failures, cursor: undefined };
}

/** Adds a file to the page, or returns a folder, which is to be read. */
async function add(walk: Walk, path: Buffer, ids: readonly string[]): Promise<Folder | undefined> {
  assertBelow(path, walk.folders);
  const facts = await stat(path);
  const name = path.subarray(walk.prefix);
  const fault = faultOf(facts, path, name.byteLength);
  if (fault !== undefined) return fail(walk, path, fault, facts.isDirectory());
  if (facts.isDirectory()) {
    const id = idOf(facts);
    return ids.includes(id) ? undefined : { path, ids: [...ids, id] };
  }
  const locator = path.toString();
  const fileid = walk.isNamedByMd5 ? await md5Of(locator, walk) : name.toString();
  walk.objects.push({ fileid, locator, size: facts.size, version: String(facts.mtimeMs) });
  return undefined;
}

function faultOf(facts: Stats, path: Buffer, length: number): string | undefined {
  if (facts.isDirectory())
    return length < MAX_NAME_BYTES ? undefined : `The folder's name has more than ${MAX_NAME_BYTES} bytes`;
  if (!facts.isFile()) return "It is no regular file";
  if (!isUtf8(path)) return "The name is not UTF-8";
  return length <= MAX_NAME_BYTES ? undefined : `The name has more than ${MAX_NAME_BYTES} bytes`;
}

function failed(walk: Walk, path: Buffer, error: unknown): undefined {
  const reason = error instanceof HuiyuanError ? error.message : errnoText(error, escapedName(path));
  // It was removed meanwhile, or is a link to nothing.
  const isGone = errorCodeOf(error) === "ENOENT";
  fail(walk, path, reason, !isGone);
}

function fail(walk: Walk, path: Buffer, reason: string, mayHoldNames: boolean): undefined {
  const shown = escapedName(path.subarray(walk.prefix));
  walk.failures.push(mayHoldNames ? { shown, reason, mayHoldNames } : { shown, reason });
}

function idOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

async function md5Of(path: string, { folders, signal }: Walk): Promise<string> {
  const file = await openFile(path, Number.POSITIVE_INFINITY, folders);
  if (file === undefined) throw new HuiyuanError("origin_unexpected", "It was removed during the scan");
  const { hashes } = await hashBody(file.body, ["md5"], signal);
  return hashes.md5!;
}
