// One file as the answer of an origin: its bytes in chunks, with a check that it did not change while it was read. It
// uses descriptors, because a FileHandle costs more than the read of a small file.
import { close, constants, fstat, open, read, type Stats } from "node:fs";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginAnswer, OriginBody, OriginSink } from "../../origin/origin.ts";
import { errnoText } from "./file-names.ts";

/** Its owner closes it. */
export interface OpenFile {
  readonly path: string;
  readonly facts: Stats;
  /** Reads from `at` into the buffer; 0 at the end of the file. */
  read(buffer: Buffer, at: number): Promise<number>;
  stat(): Promise<Stats>;
  close(): void;
}

const CHUNK_BYTES = 262_144;
const [openAsync, statAsync, readAsync] = [promisify(open), promisify(fstat), promisify(read)];

/** A file does not belong to another request. */
const NEVER: Cancellation = {
  aborted: false,
  reason: undefined,
  addEventListener() {},
  removeEventListener() {},
};

/** Undefined: there is no such file. Throws origin_unexpected. */
export async function openFile(path: string): Promise<OpenFile | undefined> {
  let descriptor: number | undefined;
  const release = () => close(descriptor!, () => undefined);
  try {
    // Without this flag the open of a pipe that nobody writes to would block.
    descriptor = await openAsync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const [fd, facts] = [descriptor, await statAsync(descriptor)];
    if (!facts.isFile()) throw new HuiyuanError("origin_unexpected", "It is no regular file");
    return {
      path,
      facts,
      read: async (buffer, at) => (await readAsync(fd, buffer, 0, buffer.byteLength, at)).bytesRead,
      stat: () => statAsync(fd),
      close: release,
    };
  } catch (error) {
    if (descriptor !== undefined) release();
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw unreadable(error, path);
  }
}

/** Takes over the file. Throws origin_too_large. */
export function answerOf(file: OpenFile, maxBytes: number): OriginAnswer {
  const { path, facts } = file;
  if (facts.size > maxBytes) {
    file.close();
    throw new HuiyuanError("origin_too_large", `Cannot copy ${path}: ${facts.size} bytes, the limit is ${maxBytes}`);
  }
  return {
    isNotModified: false,
    url: pathToFileURL(path).href,
    size: facts.size,
    framing: "length",
    digests: {},
    etag: undefined,
    lastModified: facts.mtime.toUTCString(),
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
  #isOver = false;
  #isReading = false;
  #settle!: (error: Error | undefined) => void;
  #resume: (() => void) | undefined;

  constructor(file: OpenFile) {
    this.#file = file;
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  start(sink: OriginSink): void {
    this.#pump(sink).then(
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
    this.#finish();
  }

  async #pump(sink: OriginSink): Promise<void> {
    const { facts, path } = this.#file;
    // One byte more than the file has: if it is read, the file has grown.
    for (let at = 0; at <= facts.size && !this.#isOver; ) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, facts.size + 1 - at));
      const bytes = await this.#use(this.#file.read(buffer, at));
      if (this.#isOver) return;
      if (bytes === 0 && at < facts.size) throw changed("origin_truncated", path);
      if (bytes === 0) break;
      at += bytes;
      if (at > facts.size) throw changed("origin_unexpected", path);
      const resumed = new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
      if (!sink.data(buffer.subarray(0, bytes)) && !this.#isOver) await resumed;
      // The first read was for more and has met the end of the file.
      if (bytes === facts.size) return;
    }
    if (this.#isOver) return;
    const { size, mtimeMs } = await this.#use(this.#file.stat());
    if (size !== facts.size || mtimeMs !== facts.mtimeMs) throw changed("origin_unexpected", path);
  }

  /** Waits for a call that uses the descriptor, which must not be closed meanwhile: another file may get its number. */
  async #use<Result>(call: Promise<Result>): Promise<Result> {
    this.#isReading = true;
    try {
      return await call;
    } finally {
      this.#isReading = false;
      if (this.#isOver) this.#file.close();
    }
  }

  /** False: it was over before. */
  #finish(error?: Error): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#resume?.();
    this.#settle(error);
    if (!this.#isReading) this.#file.close();
    return true;
  }
}

function changed(code: "origin_truncated" | "origin_unexpected", path: string): HuiyuanError {
  return new HuiyuanError(code, `Cannot copy ${path}: it changed while it was read`);
}

function unreadable(error: unknown, path: string): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  return new HuiyuanError("origin_unexpected", errnoText(error, path), { cause: error });
}
