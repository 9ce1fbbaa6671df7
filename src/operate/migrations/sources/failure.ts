// Describes why an object was not copied: the text for `view-failed`, the cause for the report, and whether a retry may
// help.
import { HuiyuanClientError } from "../../../client/api/client-error.ts";
import { asHuiyuanError, errorRow } from "../../../core/errors.ts";

export interface Failure {
  /** One line, printable. */
  readonly log: string;
  /** Equal for failures with one remedy. */
  readonly cause: string;
  /** Says nothing about the object: source or target did not answer, or are overloaded. */
  readonly isTransient: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Codes of the REST API for a service that is busy, limits its rate, or failed; -2: no usable answer. */
const TRANSIENT_REST: ReadonlySet<number> = new Set([-71, -2000, -2, -5989, -5997]);

export function describeFailure(error: unknown): Failure {
  if (error instanceof HuiyuanClientError) return describeAnswer(error);
  const { code, message, originStatus = 0, retryAfterSeconds } = asHuiyuanError(error);
  const retryAfterMs = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000;
  if (code !== "origin_status" || originStatus === 0)
    return failure(code, message, errorRow(code).retry === "helps", retryAfterMs);
  if (originStatus === 404) return failure("gone", message);
  const isTransient = isBusy(originStatus);
  return failure(`status ${originStatus}`, `HTTP response status code: ${originStatus}`, isTransient, retryAfterMs);
}

/** In the text of the old tool, which users' `error.ignore.if` matches. */
function describeAnswer({ name, code, httpStatus = 0, serviceMessage, message }: HuiyuanClientError): Failure {
  if (name === "argument_invalid") return failure("name_refused", message);
  const text = `message: ${serviceMessage ?? message}, code: ${code}, httpcode: ${httpStatus}`;
  return failure(`code ${code}`, text, TRANSIENT_REST.has(code) || isBusy(httpStatus));
}

function isBusy(status: number): boolean {
  return status === 408 || status === 429 || Math.floor(status / 100) === 5;
}

function failure(cause: string, text: string, isTransient = false, retryAfterMs?: number): Failure {
  const log = text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
  return { cause, log, isTransient, retryAfterMs };
}
