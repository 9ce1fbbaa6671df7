// One file as the answer of an origin: its bytes in chunks, with a check that it did not change while it was read. It
// uses descriptors, because a FileHandle costs more than the read of a small file.
import { close, constants, fstat, open, read, type Stats } from "node:fs";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginAnswer, OriginBody, OriginSink } from "../../origin/origin.ts";
import { errnoText } from "./file-names.ts";

const CHUNK_BYTES = 262_144;
const [openAsync, statAsync, readAsync] = [promisify(open), promisify(fstat), promisify(read)];

/** A file does not belong to another request. */
const NEVER: Cancellation = { aborted: false, reason: undefined, addEventListener() {}, removeEventListener() {} };

/** Undefined: there is no such file. Throws origin_too_large and origin_unexpected. */
export async function openFile(path: string, maxBytes: number): Promise<OriginAnswer | undefined> {
  let fd: number | undefined;
  try {
    // Without this flag the open of a pipe that nobody writes to would block.
    fd = await openAsync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await statAsync(fd);
    if (!facts.isFile()) throw new HuiyuanError("origin_unexpected", "It is no regular file");
    if (facts.size <= maxBytes) return answerOf({ path, fd, facts });
    throw new HuiyuanError("origin_too_large", `Cannot copy ${path}: ${facts.size} bytes, the limit is ${maxBytes}`);
  } catch (error) {
    if (fd !== undefined) release(fd);
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw unreadable(error, path);
  }
}

interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly facts: Stats;
}

function answerOf(file: OpenFile): OriginAnswer {
  return {
    isNotModified: false,
    url: pathToFileURL(file.path).href,
    size: file.facts.size,
    framing: "length",
    digests: {},
    etag: undefined,
    lastModified: file.facts.mtime.toUTCString(),
    life: {},
    headers: {},
    headMs: 0,
    body: new FileBody(file),
    desync: NEVER,
  };
}

/** A class, because each file makes one. */
class FileBody implements OriginBody {
  readonly over: Promise<Error | undefined>;
  readonly #file: OpenFile;
  #isStarted = false;
  #isOver = false;
  #settle!: (error: Error | undefined) => void;
  #resume: (() => void) | undefined;

  constructor(file: OpenFile) {
    this.#file = file;
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(sink: OriginSink): void {
    this.#isStarted = true;
    this.#pump(sink)
      // Not before the last read: another file may get the number of the descriptor.
      .finally(() => release(this.#file.fd))
      .then(
        () => this.#finish() && sink.end(),
        (error: unknown) => {
          const known = unreadable(error, this.#file.path);
          if (this.#finish(known)) sink.error(known);
        },
      );
  }

  resume(): void {
    this.#resume?.();
  }

  destroy(): void {
    if (this.#finish() && !this.#isStarted) release(this.#file.fd);
  }

  async #pump(sink: OriginSink): Promise<void> {
    const { fd, path, facts } = this.#file;
    // One byte more than the file has: if it is read, the file has grown.
    for (let at = 0; at <= facts.size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, facts.size + 1 - at));
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.byteLength, at);
      at += bytesRead;
      if (this.#isOver || (bytesRead === 0 && at === facts.size)) break;
      if (bytesRead === 0 || at > facts.size) throw changed(path);
      const resumed = new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
      if (!sink.data(buffer.subarray(0, bytesRead)) && !this.#isOver) await resumed;
      // The first read was for more and has met the end of the file.
      if (this.#isOver || bytesRead === facts.size) return;
    }
    const { size, mtimeMs } = await statAsync(fd);
    if (size !== facts.size || mtimeMs !== facts.mtimeMs) throw changed(path);
  }

  /** False: it was over before. */
  #finish(error?: Error): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#resume?.();
    this.#settle(error);
    return true;
  }
}

function release(fd: number): void {
  close(fd, () => undefined);
}

/** A code that is retried: the file may be at rest then. */
function changed(path: string): HuiyuanError {
  return new HuiyuanError("origin_truncated", `Cannot copy ${path}: it changed while it was read`);
}

function unreadable(error: unknown, path: string): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  return new HuiyuanError("origin_unexpected", errnoText(error, path), { cause: error });
}
