// Makes one attempt to deliver a notice: request, guarded connection, deadline, and the interpretation of the response.
// Retries and the result for the uploader are in redelivery.ts and notices.ts.
import { asHuiyuanError, type ErrorCode } from "../../../core/errors.ts";
import type { Resolve } from "../../origin/dial/lookup.ts";
import { type CallReply, createCaller } from "../../origin/exchange/caller.ts";
import { type CallbackNotice, callbackBody } from "../../sign/callback.ts";
import type { CallbackFailure } from "./callback.ts";

/** The callback settings of a bucket. */
export interface CallbackTarget {
  /** http or https, with path and query. */
  readonly url: string;
  readonly secret: string;
  /** Milliseconds that the uploader waits for the callback. */
  readonly timeoutMs: number;
  readonly onFailure: "report" | "accept";
  /** True: this host and port may have a private address. */
  readonly allowPrivate: boolean;
}

/** `json`: the business server's response, unchanged. `found`: for the log only, because it may name internal hosts. */
export type Delivery =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly failure: CallbackFailure; readonly found?: string };

export interface DeliveryRequest {
  readonly notice: CallbackNotice;
  /** Request id of the upload. */
  readonly requestId: string;
  /** Aborts at the deadline. */
  readonly signal: AbortSignal;
  /** True: a header marks the notice as a test, and any response is read. */
  readonly isTest?: boolean;
}

/** For operators, unlike Delivery: the response is never relayed to uploaders. */
export interface TestedDelivery {
  readonly delivery: Delivery;
  /** Undefined: there was no response. */
  readonly status: number | undefined;
  /** At most 1,000 characters of the body, if it was read. */
  readonly answer: string;
}

export interface Receiver {
  /** Never rejects. */
  deliver(request: DeliveryRequest): Promise<TestedDelivery>;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  readonly target: Pick<CallbackTarget, "url" | "secret" | "timeoutMs" | "allowPrivate">;
  /** Connections at the same time. */
  readonly connections: number;
  readonly userAgent: string;
  readonly resolve: Resolve;
}

/** A longer response counts as a bad answer. Bytes. */
export const MAX_ANSWER_BYTES = 65_536;
/** Marks a test for the receiver. No field of the body does, because a strict receiver may refuse unknown fields. */
const TEST_HEADER = { "x-huiyuan-test": "callback" };
const SHOWN_CHARACTERS = 1_000;
// Dialling ends a little before the deadline, so that a silent name server and a silent receiver differ.
const DIAL_SHARE = 0.9;

export function createReceiver({ target, connections, userAgent, resolve }: ReceiverOptions): Receiver {
  const { url, secret, timeoutMs, allowPrivate } = target;
  const connectTimeoutMs = Math.ceil(timeoutMs * DIAL_SHARE);
  const caller = createCaller({ url, allowPrivate, connectTimeoutMs, connections, resolve });
  const { pathname, search } = new URL(url);

  function send({ notice, requestId, signal, isTest }: DeliveryRequest): Promise<CallReply> {
    return caller.call({
      method: "POST",
      target: `${pathname}${search}`,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        accept: "application/json",
        "accept-encoding": "identity",
        "user-agent": userAgent,
        "x-request-id": requestId,
        // A kept connection may close just as the notice is sent; then it would be unknown whether the notice arrived.
        connection: "close",
        ...(isTest && TEST_HEADER),
      },
      body: Buffer.from(callbackBody(notice, secret), "latin1"),
      signal,
    });
  }

  return {
    async deliver(request) {
      let status: number | undefined;
      try {
        const reply = await send(request);
        status = reply.status;
        const isRead = request.isTest === true || isSuccess(status);
        if (!isRead) reply.discard();
        const bytes = isRead ? await readWhole(reply.body) : undefined;
        const answer = new TextDecoder().decode(bytes).slice(0, SHOWN_CHARACTERS);
        return { delivery: deliveryOf(status, bytes), status, answer };
      } catch (error) {
        return { delivery: failed(error, request.signal), status, answer: "" };
      }
    },
    close: () => caller.close(),
  };
}

function failed(error: unknown, signal: AbortSignal): Delivery {
  if (signal.aborted) return { ok: false, failure: { reason: "timeout" } };
  return { ok: false, failure: { reason: reasonOf(error) }, found: asHuiyuanError(error).message };
}

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** `bytes`: undefined for a body that was not read, or of more than MAX_ANSWER_BYTES. */
function deliveryOf(status: number, bytes: Buffer | undefined): Delivery {
  if (!isSuccess(status)) return { ok: false, failure: { reason: "status", status } };
  const json = bytes === undefined ? undefined : jsonOf(bytes);
  return json === undefined ? { ok: false, failure: { reason: "bad_answer", status } } : { ok: true, json };
}

/** Undefined if the body exceeds MAX_ANSWER_BYTES. */
async function readWhole(body: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  // Leaving the loop closes the connection.
  for await (const part of body) {
    size += part.byteLength;
    if (size > MAX_ANSWER_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The text of a JSON value, `null` for an empty body; undefined if it is neither. */
function jsonOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
    if (text === "") return "null";
    JSON.parse(text);
    return text;
  } catch {
    return undefined; // Not UTF-8, not JSON, or nested too deeply.
  }
}

const DIAL_REASONS: Readonly<Partial<Record<ErrorCode, CallbackFailure["reason"]>>> = {
  origin_blocked: "blocked",
  origin_name_unknown: "dns",
  origin_dns_failed: "dns",
  origin_dns_timeout: "dns",
  origin_tls: "tls",
  origin_timeout: "timeout",
};

/** Error names of undici for a response that is not HTTP or has an oversized head. */
const NOT_HTTP: ReadonlySet<unknown> = new Set([
  "HTTPParserError",
  "HeadersOverflowError",
  "ResponseContentLengthMismatchError",
]);

function reasonOf(error: unknown): CallbackFailure["reason"] {
  if (error instanceof Error && NOT_HTTP.has(error.name)) return "bad_answer";
  return DIAL_REASONS[asHuiyuanError(error).code] ?? "connect";
}
