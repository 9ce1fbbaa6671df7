// One file as the answer of an origin: its bytes in chunks, with a check that it did not change while it was read.
import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginAnswer, OriginBody, OriginSink } from "../../origin/origin.ts";
import { errnoText } from "./file-names.ts";

export interface OpenFile {
  readonly handle: FileHandle;
  readonly facts: Stats;
}

const CHUNK_BYTES = 262_144;

/** A file does not belong to another request. */
const NEVER: Cancellation = {
  aborted: false,
  reason: undefined,
  addEventListener() {},
  removeEventListener() {},
};

/** Undefined: there is no such file. Throws origin_unexpected. */
export async function openFile(path: string): Promise<OpenFile | undefined> {
  let handle: FileHandle | undefined;
  try {
    // A pipe that nobody writes to would block the open without this flag.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) throw new HuiyuanError("origin_unexpected", "It is no regular file");
    return { handle, facts };
  } catch (error) {
    await handle?.close();
    if (error instanceof HuiyuanError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new HuiyuanError("origin_unexpected", errnoText(error, path), { cause: error });
  }
}

/** Takes over the file. Throws origin_too_large. */
export async function answerOf(file: OpenFile, path: string, maxBytes: number): Promise<OriginAnswer> {
  const { size, mtime } = file.facts;
  if (size > maxBytes) {
    await file.handle.close();
    throw new HuiyuanError("origin_too_large", `Cannot copy ${path}: ${size} bytes, the limit is ${maxBytes}`);
  }
  return {
    isNotModified: false,
    url: pathToFileURL(path).href,
    size,
    framing: "length",
    digests: {},
    etag: undefined,
    lastModified: mtime.toUTCString(),
    life: {},
    headers: {},
    headMs: 0,
    body: createFileBody(file, path),
    desync: NEVER,
  };
}

function createFileBody({ handle, facts }: OpenFile, path: string): OriginBody {
  let [isEnded, resume]: [boolean, () => void] = [false, () => undefined];
  let settle!: (error: Error | undefined) => void;
  const over = new Promise<Error | undefined>((resolve) => {
    settle = resolve;
  });

  async function pump(sink: OriginSink): Promise<void> {
    for (let at = 0; at < facts.size && !isEnded; ) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, facts.size - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, at);
      if (isEnded) return;
      if (bytesRead === 0) throw changed("origin_truncated", path);
      at += bytesRead;
      const resumed = new Promise<void>((resolve) => {
        resume = resolve;
      });
      if (!sink.data(buffer.subarray(0, bytesRead)) && !isEnded) await resumed;
    }
    const { size, mtimeMs } = await handle.stat();
    if (size !== facts.size || mtimeMs !== facts.mtimeMs) throw changed("origin_unexpected", path);
  }

  async function finish(error?: Error): Promise<boolean> {
    if (isEnded) return false;
    isEnded = true;
    resume();
    settle(error);
    await handle.close().catch(() => undefined);
    return true;
  }

  return {
    over,
    start(sink) {
      void pump(sink).then(
        async () => void ((await finish()) && sink.end()),
        async (caught: unknown) => {
          const error = caught instanceof HuiyuanError ? caught : unreadable(caught, path);
          if (await finish(error)) sink.error(error);
        },
      );
    },
    resume: () => resume(),
    destroy: () => void finish(),
  };
}

function changed(code: "origin_truncated" | "origin_unexpected", path: string): HuiyuanError {
  return new HuiyuanError(code, `Cannot copy ${path}: it changed while it was read`);
}

function unreadable(error: unknown, path: string): HuiyuanError {
  return new HuiyuanError("origin_unexpected", errnoText(error, path), { cause: error });
}
