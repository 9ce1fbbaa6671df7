// How an API call is answered: one JSON document with the fields and types that its clients insist on, in one write with
// its length. 200 is success and 400 is everything else.
import type { IncomingMessage, ServerResponse } from "node:http";
import { type HuiyuanError, restError } from "../../core/errors.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";

export interface ApiAnswer {
  readonly code: number;
  readonly message: string;
  /** JSON text of an object. */
  readonly data: string;
}

export function success(data: object): ApiAnswer {
  return { code: 0, message: "SUCCESS", data: JSON.stringify(data) };
}

/** The same number and words for the same code, always with an empty `data`. */
export function failure(error: HuiyuanError): ApiAnswer {
  return { ...restError(error.code), data: "{}" };
}

export function bodyOf({ code, message, data }: ApiAnswer): Buffer {
  return Buffer.from(`{"code":${code},"message":${JSON.stringify(message)},"data":${data}}`);
}

/** `headers`: further ones, names and values in turn. */
export function sendAnswer(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  answer: ApiAnswer,
  headers: readonly string[],
): void {
  const body = bodyOf(answer);
  response.writeHead(answer.code === 0 ? 200 : 400, [
    "Content-Type",
    "application/json; charset=utf-8",
    "Content-Length",
    String(body.byteLength),
    "Cache-Control",
    "no-store",
    "X-Content-Type-Options",
    "nosniff",
    ...headers,
  ]);
  if (request.method === "HEAD") response.end();
  else response.end(body);
}

/** Where clients find a file. */
export interface Links {
  /** Of the API: its last segment is the fileid, encoded. */
  readonly url: string;
  readonly download: string;
}

/** Of an upload, and of the last slice. Sides are numbers here, and texts in a stat: clients read them so. */
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
