// Opens the source of an upload (a file by its path, bytes, or a stream of known size), reads ranges of it in chunks,
// and uploads it in slices (分片上传). Slices that the service has survive a broken connection and restarts of either
// side; a session lives for 24 hours.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type Answer, number, readUploaded, text } from "../api/answers.ts";
import type { ApiRequest, Caller } from "../api/call.ts";
import { argumentError, transportError, type Uploaded } from "../api/client-error.ts";
import { makeForm } from "../api/form.ts";

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

export interface SliceProgress {
  /** Bytes that the service has. */ readonly sentBytes: number;
  readonly totalBytes: number;
  /** Pass it to a later call to resume this upload. */ readonly session: string;
}

interface SliceUpload {
  readonly source: OpenSource;
  readonly path: string;
  readonly sign: () => string;
  readonly magicContext: string | undefined;
  readonly session: string | undefined;
  readonly sliceBytes: number;
  readonly onProgress: ((progress: SliceProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Throws HuiyuanClientError; session_unknown if `session` is too old or belongs to another image. */
export async function uploadSlices(caller: Caller, upload: SliceUpload): Promise<Uploaded> {
  const { source, path, sign, signal } = upload;
  // Slices are idempotent: the service answers a repeated slice as it answered the first.
  const post = (form: ApiRequest["form"]) =>
    caller.call({ method: "POST", path, sign, ...(form && { form }), retry: "always", signal });
  let answer = await post(makeForm({ op: "upload_slice", ...(await announcedFields(upload)) }));
  if (isDone(answer)) return readUploaded(answer); // the service has an equal image already (秒传)
  const session = text(answer, "session");
  const sliceBytes = number(answer, "slice_size");
  let offset = number(answer, "offset");
  if (sliceBytes < 1 || offset >= source.size) throw unexpectedOffset(answer);
  while (!isDone(answer)) {
    const from = offset;
    const to = Math.min(from + sliceBytes, source.size);
    upload.onProgress?.({ sentBytes: from, totalBytes: source.size, session });
    const fields = { op: "upload_slice", session: text(answer, "session"), offset: String(from) };
    const file = { size: to - from, read: () => source.read(from, to), hasMd5: false };
    answer = await post(makeForm(fields, file));
    if (!isDone(answer) && to === source.size) throw unexpectedOffset(answer);
    offset = to;
  }
  upload.onProgress?.({ sentBytes: source.size, totalBytes: source.size, session });
  return readUploaded(answer);
}

async function announcedFields({ source, magicContext, session, sliceBytes }: SliceUpload) {
  const sha1 = createHash("sha1");
  for await (const chunk of source.read(0, source.size)) sha1.update(chunk);
  return {
    sha: sha1.digest("hex"),
    filesize: String(source.size),
    slice_size: String(sliceBytes),
    ...(session !== undefined && { session }),
    ...(magicContext !== undefined && { magicContext }),
  };
}

function isDone(answer: Answer): boolean {
  return typeof answer.data.url === "string";
}

function unexpectedOffset({ httpStatus, requestId }: Answer): Error {
  const message = "Cannot continue the upload: the service expects another offset of the image";
  return transportError("answer_unreadable", message, { httpStatus, requestId });
}
