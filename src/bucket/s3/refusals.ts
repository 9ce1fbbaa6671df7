// What a no of S3 means, by its status and the code in its body. Pure.

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
