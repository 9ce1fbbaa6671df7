// What an upload's answer and the business server's have to do with each other: the words of the callback (回调). Pure; who
// is called, when, and what is kept for later are notifier.ts and outbox.ts.

/** A file that has just been stored: by an ordinary upload, a last slice or an instant upload. */
export interface Uploaded {
  readonly appid: string;
  /** Its name alone. */
  readonly bucket: string;
  readonly fileid: string;
  /** As the client sent it; empty where it sent none. */
  readonly magicContext: string;
  /** Lower-case hex. */
  readonly sha1: string;
  /** Bytes. */
  readonly size: number;
  /** The download URL. */
  readonly url: string;
  readonly userid: string;
  /** Of the upload's own request. */
  readonly requestId: string;
}

/** The upload is stored and the business server has not taken note of it; outside every range of the original. */
export const CALLBACK_FAILED = -5979;

/** Why a notice did not get through; `status` where the business server gave one. */
export interface CallbackFailure {
  readonly reason: "bad_answer" | "status" | "connect" | "dns" | "tls" | "blocked" | "timeout";
  readonly status?: number;
}

/** How the uploader is answered. */
export interface CallbackOutcome {
  /** 0 is HTTP 200 with the usual message, the other HTTP 400 with a message of its own. */
  readonly code: 0 | typeof CALLBACK_FAILED;
  /**
   * The value of `data.callback` as JSON text. Text, because it may be the business server's own: its 64-bit numbers would
   * not survive being parsed. `joinCallback` puts it in.
   */
  readonly json: string;
}

/** An upload whose notice is owed although it is not stored yet. One of its functions is called, once. */
export interface OutboxDraft {
  /** The file is durable now. Waits for the business server as long as the settings let it. Never rejects. */
  stored(): Promise<CallbackOutcome>;
  /** It was not stored: there is nothing to tell. */
  withdraw(): void;
  /** Whether it was stored is not known. That is looked up in a minute. */
  markUnknown(): void;
}

/**
 * Before a file is stored; never rejects. Undefined where the bucket has no callback: the answer then has no
 * `data.callback`.
 */
export type MakeOutboxDraft = (uploaded: Uploaded) => Promise<OutboxDraft | undefined>;

/** `data` with its callback, as JSON text. The other keys are ours and stay. */
export function joinCallback(data: Readonly<Record<string, unknown>>, { json }: CallbackOutcome): string {
  const { callback: _, ...rest } = data;
  const text = JSON.stringify(rest).slice(0, -1);
  return `${text}${text === "{" ? "" : ","}"callback":${json}}`;
}
