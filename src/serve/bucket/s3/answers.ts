// Reads the few XML documents of S3 that are needed: error codes, listing pages, results of copies.
// They are flat and machine-made, so regular expressions do; an element that does not match counts as missing. Pure.

import { HuiyuanError } from "../../../core/errors.ts";
import type { HttpReply } from "../../../core/http-call.ts";
import { decodeXmlText } from "../../../core/xml.ts";
import type { ListedObject } from "../remote/remote.ts";

/** `<Code>` of an error document; undefined if the text is no error document. */
export function errorCode(xml: string): string | undefined {
  return xml.includes("<Error>") ? element(xml, "Code") : undefined;
}

/**
 * Whether the document confirms that S3 carried out the request. An error document after a 200 and a proxy's page do
 * not.
 */
export function isResult(xml: string, name: "CopyObjectResult" | "ListBucketResult"): boolean {
  return new RegExp(`<(?:[\\w.-]+:)?${name}[\\s/>]`).test(xml);
}

/** `etag`: without its quotes; empty if the store sends none. */
export interface ListedS3Object extends ListedObject {
  readonly etag: string;
}

/** A ListObjectsV2 page that was requested with encoding-type=url. */
export function listPage(xml: string): { readonly names: readonly ListedS3Object[]; readonly isTruncated: boolean } {
  const isEncoded = element(xml, "EncodingType") === "url";
  const names = [...xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)].map(([, content = ""]): ListedS3Object => {
    const name = element(content, "Key") ?? "";
    const etag = (element(content, "ETag") ?? "").replaceAll('"', "");
    const md5 = etag.toLowerCase();
    return {
      name: isEncoded ? decodeName(name) : name,
      size: Number(element(content, "Size") ?? 0),
      etag,
      // Any other ETag is no MD5, as after a multipart upload of another tool.
      md5: /^[0-9a-f]{32}$/.test(md5) ? md5 : undefined,
    };
  });
  return { names, isTruncated: element(xml, "IsTruncated") === "true" };
}

/** The text of the first element of this name. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : decodeXmlText(text);
}

/** AWS encodes a space as `+` and a plus sign as `%2B`. */
function decodeName(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** The same request may succeed a moment later. */
const RETRYABLE_CODES = new Set([
  "SlowDown",
  "RequestTimeout",
  "OperationAborted",
  "ConditionalRequestConflict",
  "InternalError",
  "ServiceUnavailable",
]);
const FULL_CODES = new Set(["QuotaExceeded", "InsufficientCapacity", "InsufficientStorage", "XMinioStorageFull"]);
const OBJECT_STATUSES = new Set([304, 404, 409, 412, 416]);

/** Whether a retry may succeed. */
export function isRetryable(status: number, code: string): boolean {
  return RETRYABLE_CODES.has(code) || status === 429 || (status >= 500 && status !== 501 && status !== 507);
}

/** Whether S3 has no room left. */
export function isFull(status: number, code: string): boolean {
  return FULL_CODES.has(code) || status === 507;
}

/** Whether the response is about the object and has to be interpreted by the caller. */
export function isAboutObject(status: number, code: string): boolean {
  return OBJECT_STATUSES.has(status) && code !== "NoSuchBucket";
}

/** The store_failed for a status that the caller cannot interpret. */
export function unexpectedStatus(action: string, name: string, status: number): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot ${action} "${name}": S3 answered ${status}`);
}

/** Request id headers that AWS, OSS, COS, OBS and Kodo send with every response. */
const REQUEST_IDS = ["x-amz-request-id", "x-oss-request-id", "x-cos-request-id", "x-obs-request-id", "x-reqid"];

/** A proxy in front of S3 sends none. */
export function hasRequestId(reply: HttpReply): boolean {
  return REQUEST_IDS.some((name) => reply.header(name) !== undefined);
}
