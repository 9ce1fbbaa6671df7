// Builds and sends the answer to a REST API call: one JSON document with the fields and types of the original service.
// Success is status 200, every failure 400.
import { type HuiyuanError, restError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeAnswer } from "../response/error-answer.ts";

export interface ApiAnswer {
  readonly code: number;
  readonly message: string;
  /** JSON text of an object. */
  readonly data: string;
  readonly retryAfterSeconds?: number | undefined;
}

export function success(data: object): ApiAnswer {
  return { code: 0, message: "SUCCESS", data: JSON.stringify(data) };
}

/** The answer to a failed call. Equal codes have equal texts, and `data` is empty. */
export function failure(error: HuiyuanError): ApiAnswer {
  return { ...restError(error.code), data: "{}", retryAfterSeconds: error.retryAfterSeconds };
}

/** `more`: headers after its own ones, names and values in turn. Pure. */
export function wholeAnswer({ code, message, data }: ApiAnswer, more: readonly string[]): WholeAnswer {
  const body = Buffer.from(`{"code":${code},"message":${JSON.stringify(message)},"data":${data}}`);
  const headers = ["Content-Type", "application/json; charset=utf-8", "Content-Length", String(body.byteLength)];
  headers.push("Cache-Control", "no-store", "X-Content-Type-Options", "nosniff", ...more);
  return { status: code === 0 ? 200 : 400, headers, body };
}

/** The URLs of one file. */
export interface Links {
  /** The API's URL of the file; its last segment is the encoded fileid. */
  readonly url: string;
  readonly download: string;
}

/** The data of a finished upload. Width and height are numbers here, texts in a stat: clients expect both. */
export function uploadData({ key, image }: ObjectInfo, { url, download }: Links): Record<string, unknown> {
  const original = { width: image.width ?? 0, height: image.height ?? 0 };
  return { url, download_url: download, fileid: key, info: [{ 0: original }] };
}

export function copyData(fileid: Key, { url, download }: Links): object {
  return { url, download_url: download, fileid };
}

export function statData(info: ObjectInfo, { download }: Links, md5: string): object {
  return {
    file_url: download,
    file_fileid: info.key,
    file_upload_time: String(Math.floor(info.storedAt / 1_000)),
    file_size: String(info.size),
    file_md5: md5,
    photo_width: String(info.image.width ?? 0),
    photo_height: String(info.image.height ?? 0),
  };
}
