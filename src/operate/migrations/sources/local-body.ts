// One file as the answer of an origin: its bytes in chunks, with a check that it did not change while it was read.
import { close, constants, fstat, open, read, type Stats, stat } from "node:fs";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Cancellation } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { OriginAnswer, OriginBody, OriginSink } from "../../../serve/origin/origin.ts";
import { assertBelow, errnoText, type Folders } from "./local-paths.ts";

const CHUNK_BYTES = 262_144;
const [openAsync, readAsync, statAsync] = [promisify(open), promisify(read), promisify(fstat)];

/** A file does not belong to another request. */
const NEVER: Cancellation = { aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {} };

/** Undefined: there is no such file. Throws origin_too_large, origin_unexpected and as assertBelow(). */
export async function openFile(path: string, maxBytes: number, folders: Folders): Promise<OriginAnswer | undefined> {
  assertBelow(path, folders);
  const facts = await promisify(stat)(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw unreadable(error, path);
  });
  if (facts === undefined) return undefined;
  const { size } = facts;
  // The open of a pipe that nobody writes to would block.
  if (!facts.isFile()) throw new HuiyuanError("origin_unexpected", "It is no regular file");
  if (size > maxBytes)
    throw new HuiyuanError("origin_too_large", `Cannot copy ${path}: ${size} bytes, the limit is ${maxBytes}`);
  return {
    isNotModified: false,
    url: pathToFileURL(path).href,
    size,
    framing: "length",
    digests: {},
    etag: undefined,
    lastModified: facts.mtime.toUTCString(),
    life: {},
    headers: {},
    headMs: 0,
    body: bodyOf(path, facts, folders),
    desync: NEVER,
  };
}

function bodyOf(path: string, facts: Stats, folders: Folders): OriginBody {
  const reading: Reading = { folders, isOver: false, resume() {} };
  let settle!: (error: Error | undefined) => void;
  const over = new Promise<Error | undefined>((resolve) => {
    settle = resolve;
  });
  const end = (error?: Error) => {
    reading.isOver = true;
    reading.resume();
    settle(error);
  };
  return {
    over,
    start(sink) {
      const finish = (error?: Error) => {
        if (reading.isOver) return;
        end(error);
        if (error === undefined) sink.end();
        else sink.error(error);
      };
      send(path, facts, sink, reading).then(
        () => finish(),
        (error: unknown) => finish(unreadable(error, path)),
      );
    },
    resume: () => reading.resume(),
    destroy: () => end(),
  };
}

/** `isOver`: no more bytes are wanted. */
interface Reading {
  readonly folders: Folders;
  isOver: boolean;
  resume(): void;
}

/** Uses a descriptor, because a FileHandle or a stream costs more than the read of a small file. */
async function send(path: string, facts: Stats, sink: OriginSink, reading: Reading): Promise<void> {
  const fd = await openAsync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    assertBelow(path, reading.folders, fd);
    // One byte more than the file has: if it is read, the file has grown.
    for (let at = 0; at <= facts.size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, facts.size + 1 - at));
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.byteLength, at);
      at += bytesRead;
      if (bytesRead === 0 && at === facts.size) break;
      if (bytesRead === 0 || at > facts.size) throw changed(path);
      const resumed = new Promise<void>((resolve) => {
        reading.resume = resolve;
      });
      if (!reading.isOver && !sink.data(buffer.subarray(0, bytesRead)) && !reading.isOver) await resumed;
      // The first read was for more and has met the end of the file.
      if (reading.isOver || bytesRead === facts.size) return;
    }
    const { size, mtimeMs } = await statAsync(fd);
    if (size !== facts.size || mtimeMs !== facts.mtimeMs) throw changed(path);
  } finally {
    close(fd, () => undefined);
  }
}

/** A code that is retried: the file may be at rest then. */
function changed(path: string): HuiyuanError {
  return new HuiyuanError("origin_truncated", `Cannot copy ${path}: it changed while it was read`);
}

function unreadable(error: unknown, path: string): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  return new HuiyuanError("origin_unexpected", errnoText(error, path), { cause: error });
}
