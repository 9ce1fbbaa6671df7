// What a no of S3 means, by its status and the code in its body. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import type { HttpReply } from "./http-call.ts";

/** Codes after which the same request may succeed a moment later. */
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

/** Whether another try may help. */
export function isRetryable(status: number, code: string): boolean {
  return RETRYABLE_CODES.has(code) || status === 429 || (status >= 500 && status !== 501 && status !== 507);
}

/** Whether there is no room in S3. */
export function isFull(status: number, code: string): boolean {
  return FULL_CODES.has(code) || status === 507;
}

/** Whether it is an answer about the object, which whoever asks must judge. */
export function isAboutObject(status: number, code: string): boolean {
  return OBJECT_STATUSES.has(status) && code !== "NoSuchBucket";
}

export function unexpectedStatus(action: string, name: string, status: number): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot ${action} "${name}": S3 answered ${status}`);
}

/** Which request this was, as AWS, OSS, COS, OBS and Kodo say it in every answer. */
const REQUEST_IDS = ["x-amz-request-id", "x-oss-request-id", "x-cos-request-id", "x-obs-request-id", "x-reqid"];

export interface NotFoundRule {
  /** How many 404s have said which request they were. */
  readonly withRequestId: number;
  /** Whether a 404 is an answer of S3. */
  isTrusted(reply: HttpReply): boolean;
  /** This S3 does not say which request it was. Taken back by a 404 that does. */
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
