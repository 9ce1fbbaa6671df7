// Classifies error responses of S3 by status and error code, and decides whether a 404 means that an object is absent.
// A 404 of S3 carries a request id; one without may come from a proxy. Sends no requests.
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

export interface NotFoundRule {
  /** Number of 404s so far that had a request id. */
  readonly withRequestId: number;
  /** Whether this 404 comes from S3. */
  isTrusted(reply: HttpReply): boolean;
  /** This S3 sends no request ids, so any 404 is trusted. The next 404 with a request id revokes this. */
  trustWithoutRequestId(): void;
}

export function hasRequestId(reply: HttpReply): boolean {
  return REQUEST_IDS.some((name) => reply.header(name) !== undefined);
}

export function createNotFoundRule(): NotFoundRule {
  let trustsWithoutRequestId = false;
  let withRequestId = 0;
  return {
    get withRequestId() {
      return withRequestId;
    },
    isTrusted(reply) {
      if (!hasRequestId(reply)) return trustsWithoutRequestId;
      trustsWithoutRequestId = false;
      withRequestId += 1;
      return true;
    },
    trustWithoutRequestId() {
      trustsWithoutRequestId = true;
    },
  };
}
