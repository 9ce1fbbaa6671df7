// Describes why an object was not copied: the text for `view-failed`, the cause for the report, and whether a retry may
// help.
import { HuiyuanClientError } from "../../client/api/client-error.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import { TargetRefusal } from "../target.ts";

export interface Failure {
  /** One line, printable. */
  readonly log: string;
  /** Equal for failures with one remedy. */
  readonly cause: string;
  /** Says nothing about the object: source or target did not answer, or are overloaded. */
  readonly isTransient: boolean;
  readonly retryAfterMs: number | undefined;
}

/** The target has other bytes under the fileid. In the text of the REST API, so that `error.ignore.if` matches it. */
export function differsFailure(): TargetRefusal {
  return new TargetRefusal({ code: -1886, httpStatus: 400, text: "图片fileid已经存在" });
}

export class MissingObject extends Error {}

const TRANSIENT: readonly ErrorCode[] = [
  "origin_timeout",
  "origin_refused",
  "origin_reset",
  "origin_dns_timeout",
  "origin_dns_failed",
  "origin_failing",
  "origin_busy",
  "origin_truncated",
  "overloaded",
  "not_kept",
  "store_failed",
];
/** Codes of the REST API for a service that is busy, limits its rate, or failed. */
const TRANSIENT_REST = [-71, -2000, -2, -5989, -5997];

export function describeFailure(error: unknown): Failure {
  if (error instanceof TargetRefusal) {
    const { code, httpStatus, message } = error;
    const isTransient = TRANSIENT_REST.includes(code) || httpStatus === 429 || httpStatus >= 500;
    return failure(`code ${code}`, message, isTransient);
  }
  if (error instanceof HuiyuanClientError) return failure("name_refused", error.message);
  if (error instanceof MissingObject) return failure("gone", error.message);
  const known = asHuiyuanError(error);
  const { code, originStatus, retryAfterSeconds } = known;
  const retryAfterMs = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000;
  if (code === "origin_status" && originStatus !== undefined) {
    const isTransient = originStatus === 429 || originStatus === 408 || Math.floor(originStatus / 100) === 5;
    const cause = `status ${originStatus}`;
    return failure(cause, `HTTP response status code: ${originStatus}`, isTransient, retryAfterMs);
  }
  return failure(code, known.message, TRANSIENT.includes(code), retryAfterMs);
}

function failure(cause: string, text: string, isTransient = false, retryAfterMs?: number): Failure {
  const log = text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
  return { cause, log, isTransient, retryAfterMs };
}

/** The disk of the target is full: every further object would fail too. */
export function isFull(error: unknown): boolean {
  return error instanceof HuiyuanError && error.code === "store_full";
}
