// The types of the callback (回调): the facts of a stored file, the result of its notice, and how the result enters the
// response to the upload. Pure; notices.ts sends the notices and outbox.ts stores them.
import type { CALLBACK_FAILED } from "../../../core/errors.ts";
import type { CallbackNotice } from "../../sign/callback.ts";

/** A file that has just been stored by an ordinary upload, a last slice or an instant upload. */
export interface Uploaded extends Omit<CallbackNotice, "timestamp" | "attempt"> {
  /** Request id of the upload. */
  readonly requestId: string;
}

/** Why a notice was not delivered; `status` if the business server sent one. */
export interface CallbackFailure {
  readonly reason: "bad_answer" | "status" | "connect" | "dns" | "tls" | "blocked" | "timeout";
  readonly status?: number;
}

/** The report of the callback in the response to the upload. */
export interface CallbackOutcome {
  /** 0: HTTP 200 with the usual message. CALLBACK_FAILED: HTTP 400 with a message of its own. */
  readonly code: 0 | typeof CALLBACK_FAILED;
  /**
   * The value of `data.callback` as JSON text. It may be the business server's own, and parsing would damage its 64-bit
   * numbers. `joinCallback` inserts it.
   */
  readonly json: string;
}

/** The outbox entry of an upload that is not stored yet. Exactly one of its functions is called, once. */
export interface OutboxDraft {
  /** The file is durable now. Sends the notice and waits for the business server, up to its timeout. Never rejects. */
  stored(): Promise<CallbackOutcome>;
  /** The file was not stored, so no notice is sent. */
  withdraw(): void;
  /** It is unknown whether the file was stored. It is looked up a minute later. */
  markUnknown(): void;
}

/**
 * Called before a file is stored; never rejects. Undefined if the bucket has no callback; the response then has no
 * `data.callback`.
 */
export type MakeOutboxDraft = (uploaded: Uploaded) => Promise<OutboxDraft | undefined>;

/** `data` as JSON text with the callback's value inserted as `callback`. */
export function joinCallback(data: Readonly<Record<string, unknown>>, { json }: CallbackOutcome): string {
  const { callback: _, ...rest } = data;
  const text = JSON.stringify(rest).slice(0, -1);
  return `${text}${text === "{" ? "" : ","}"callback":${json}}`;
}
