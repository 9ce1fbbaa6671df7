// The SDK's one error class, for refusals of the service, transport failures and bad arguments.

import { codeMeaning, type ErrorName, ownCode, STORED_CALLBACK_FAILED } from "./codes.ts";
import type { Uploaded } from "./results.ts";

/** An answer in which the service refused the call. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly httpStatus: number;
  readonly requestId: string | undefined;
  /** Present if the code is callback_failed. */
  readonly uploaded?: Uploaded;
}

/**
 * Act on `name`, never on `message`. `requestId` finds the request in the service's log. An abort by the caller's own
 * signal is not a HuiyuanClientError: the call rejects with the signal's reason, as fetch does.
 */
export class HuiyuanClientError extends Error {
  declare readonly name: ErrorName;
  /** The service's code; -1 for a bad argument, -2 for a transport failure. */ readonly code: number;
  /** Undefined if there was no answer. */ readonly httpStatus: number | undefined;
  readonly requestId: string | undefined;
  /** True if the image is stored although the call failed (-5979): do not upload it again. */ readonly stored: boolean;
  /** The stored image, if `stored`; its `callback` says why the callback failed. */
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

/** The error for a refusal of the service. */
export function refusedError({ message, ...details }: Refusal): HuiyuanClientError {
  const { name, meaning } = codeMeaning(details.code);
  return new HuiyuanClientError(name, `${meaning} (${details.code} ${message})`, details);
}

/** The error for a bad argument. */
export function argumentError(message: string): HuiyuanClientError {
  return new HuiyuanClientError("argument_invalid", message, { code: ownCode("argument_invalid") });
}

/** The error for a failure between this program and the service. */
export function transportError(
  name: "network_failed" | "timed_out" | "answer_unreadable",
  message: string,
  details: { readonly cause?: unknown; readonly httpStatus?: number; readonly requestId?: string | undefined } = {},
): HuiyuanClientError {
  return new HuiyuanClientError(name, message, { code: ownCode(name), ...details });
}
