// Uploads in slices (分片上传): announces the image, gets the next offset, then sends slice after slice.
// Slices that the service has survive a broken connection and restarts of either side; a session lives for 24 hours.
import { createHash } from "node:crypto";
import { type Answer, number, readUploaded, text } from "../api/answers.ts";
import type { ApiRequest, Caller } from "../api/call.ts";
import { transportError, type Uploaded } from "../api/client-error.ts";
import { makeForm } from "../api/form.ts";
import type { OpenSource } from "./source.ts";

export interface SliceProgress {
  /** Bytes that the service has. */ readonly sentBytes: number;
  readonly totalBytes: number;
  /** Pass it to a later call to resume this upload. */ readonly session: string;
}

export interface SliceUpload {
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
