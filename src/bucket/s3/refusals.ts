// Classifies error responses of S3 by status, error code and request id. Sends no requests.
import { HuiyuanError } from "../../core/errors.ts";
import type { HttpReply } from "./http-call.ts";

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
