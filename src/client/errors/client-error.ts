// The one error of the SDK: what a service refused, what went wrong on the way, or what the caller gave.

import type { Uploaded } from "../api/results.ts";
import { codeMeaning, type ErrorName, ownCode, STORED_CALLBACK_FAILED } from "./codes.ts";

/** What is known of an answer that was a refusal. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly httpStatus: number;
  readonly requestId: string | undefined;
  /** With `callback_failed`. */
  readonly uploaded?: Uploaded;
}

/**
 * `name` says what to do about it; act on that, never on `message`. `requestId` finds the request in the service's log.
 * An abort by the caller's own signal is not one of these: it rejects with the signal's reason, as fetch does.
 */
export class HuiyuanClientError extends Error {
  declare readonly name: ErrorName;
  /** The service's number; -1 for a bad argument, -2 for a failure on the way. */ readonly code: number;
  /** Undefined where there was no answer. */ readonly httpStatus: number | undefined;
  readonly requestId: string | undefined;
  /** The image is stored though the call failed (-5979): do not upload it again. */ readonly stored: boolean;
  /** What was stored, where `stored`; its `callback` says why your server did not take note. */
  readonly uploaded: Uploaded | undefined;

  constructor(
    name: ErrorName,
    message: string,
    details: Partial<Omit<Refusal, "message">> & { readonly code: number; readonly cause?: unknown },
  ) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.name = name;
    this.code = details.code;
    this.httpStatus = details.httpStatus;
    this.requestId = details.requestId;
    this.stored = details.code === STORED_CALLBACK_FAILED;
    this.uploaded = details.uploaded;
  }
}

/** The error for an answer of the service. */
export function refusedError({ message, ...details }: Refusal): HuiyuanClientError {
  const { name, meaning } = codeMeaning(details.code);
  return new HuiyuanClientError(name, `${meaning} (${details.code} ${message})`, details);
}

/** The error for what the caller gave. */
export function argumentError(message: string): HuiyuanClientError {
  return new HuiyuanClientError("argument_invalid", message, { code: ownCode("argument_invalid") });
}

/** The error for what happened on the way. */
export function transportError(
  name: "network_failed" | "timed_out" | "answer_unreadable",
  message: string,
  details: { readonly cause?: unknown; readonly httpStatus?: number; readonly requestId?: string | undefined } = {},
): HuiyuanClientError {
  return new HuiyuanClientError(name, message, { code: ownCode(name), ...details });
}
