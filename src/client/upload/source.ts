// Opens the source of an upload: a file by its path, bytes, or a stream of known size. Reads ranges of it in chunks.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { argumentError } from "../api/client-error.ts";

/** Read once, from its beginning. `size`: bytes, exact. `stream`: a Node stream, a web stream or any async iterable. */
export interface StreamSource {
  readonly stream: AsyncIterable<Uint8Array>;
  readonly size: number;
}

/** A string is a path. */
export type ImageSource = string | Uint8Array | StreamSource;

/** A source that can be read more than once. A string is a path. */
export type RepeatableSource = string | Uint8Array;

export interface OpenSource {
  /** Bytes. */ readonly size: number;
  readonly isRepeatable: boolean;
  /** The bytes from `from` (inclusive) to `to` (exclusive). Throws argument_invalid if there are fewer or more. */
  read(from: number, to: number): AsyncIterable<Uint8Array>;
}

/** Small enough for smooth progress, large enough for throughput. */
const CHUNK_BYTES = 65_536;

/** Throws argument_invalid if there is no such file, or no valid size. */
export async function openSource(source: ImageSource): Promise<OpenSource> {
  if (typeof source === "string") return openPath(source);
  if (source instanceof Uint8Array) {
    return { size: source.byteLength, isRepeatable: true, read: (from, to) => chunks(source.subarray(from, to)) };
  }
  const { stream, size } = source;
  if (!Number.isSafeInteger(size) || size < 0)
    throw argumentError(`Cannot upload: the stream's size is ${size}, wanted a whole number of bytes`);
  return { size, isRepeatable: false, read: () => exactly(stream, size) };
}

async function openPath(path: string): Promise<OpenSource> {
  const found = await stat(path).catch((error: unknown) => {
    throw argumentError(
      `Cannot upload ${JSON.stringify(path)}: ${error instanceof Error ? error.message : "unreadable"}`,
    );
  });
  if (!found.isFile()) throw argumentError(`Cannot upload ${JSON.stringify(path)}: it is not a file`);
  return {
    size: found.size,
    isRepeatable: true,
    read: (from, to) =>
      // `end` is inclusive, so an empty range cannot be a read stream.
      from === to ? chunks(new Uint8Array()) : exactly(createReadStream(path, { start: from, end: to - 1 }), to - from),
  };
}

async function* chunks(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** Fails if the size is wrong: a truncated file or a short stream would leave the form without its end. */
async function* exactly(stream: AsyncIterable<Uint8Array>, size: number): AsyncIterable<Uint8Array> {
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.byteLength;
    if (seen > size) break;
    yield chunk;
  }
  if (seen !== size) throw argumentError(`Cannot upload: the source has ${seen} bytes, ${size} were expected`);
}
