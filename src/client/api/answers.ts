// Reads the JSON answers of the REST API into typed results. The service writes some numbers as text.
import { type Copied, type ImageStat, transportError, type Uploaded } from "./client-error.ts";

/** An answer whose code is 0: its `data`, its status and the id of its request. */
export interface Answer {
  readonly data: Readonly<Record<string, unknown>>;
  readonly httpStatus: number;
  readonly requestId: string | undefined;
}

/** Throws answer_unreadable. */
export function readUploaded(answer: Answer): Uploaded {
  const { data } = answer;
  const size = sizeOf(data.info);
  const callback = "callback" in data && { callback: data.callback };
  return { ...readCopied(answer), width: size?.width, height: size?.height, ...callback };
}

/** Throws answer_unreadable. */
export function readCopied(answer: Answer): Copied {
  return { fileid: text(answer, "fileid"), downloadUrl: text(answer, "download_url"), url: text(answer, "url") };
}

/** Throws answer_unreadable. */
export function readStat(answer: Answer): ImageStat {
  return {
    fileid: text(answer, "file_fileid"),
    downloadUrl: text(answer, "file_url"),
    uploadedAt: new Date(number(answer, "file_upload_time") * 1000),
    size: number(answer, "file_size"),
    md5: text(answer, "file_md5"),
    width: number(answer, "photo_width"),
    height: number(answer, "photo_height"),
  };
}

/** A whole number, written as a JSON number or as text in digits. Throws answer_unreadable. */
export function number(answer: Answer, key: string): number {
  const value = answer.data[key];
  const found = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof found === "number" && Number.isSafeInteger(found) && found >= 0) return found;
  throw unreadable(answer, key);
}

/** Throws answer_unreadable. */
export function text(answer: Answer, key: string): string {
  const value = answer.data[key];
  if (typeof value === "string") return value;
  throw unreadable(answer, key);
}

function unreadable({ httpStatus, requestId }: Answer, key: string): Error {
  const message = `Cannot read the service's answer: data.${key} is missing or malformed`;
  return transportError("answer_unreadable", message, { httpStatus, requestId });
}

/** Reads `[{"0":{"width":1,"height":1}}]`. */
function sizeOf(info: unknown): { readonly width: number; readonly height: number } | undefined {
  const original: unknown = Array.isArray(info) && isRecord(info[0]) ? info[0]["0"] : undefined;
  if (!isRecord(original)) return undefined;
  const { width, height } = original;
  return typeof width === "number" && typeof height === "number" ? { width, height } : undefined;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
