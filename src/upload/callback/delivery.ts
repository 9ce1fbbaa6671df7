// One attempt to deliver a notice: the request, the guarded connection, the deadline, and what may come back. It decides
// what an answer means, and nothing of what follows from it.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError, type ErrorCode } from "../../core/errors.ts";
import type { Resolve } from "../../origin/dial/lookup.ts";
import { type CallReply, createCaller } from "../../origin/exchange/caller.ts";
import { type CallbackNotice, callbackBody } from "../../sign/callback.ts";
import type { CallbackFailure } from "./callback.ts";

/** Where a bucket's notices go, as its settings say. */
export interface CallbackTarget {
  /** http or https, with path and query. */
  readonly url: string;
  readonly secret: string;
  /** Milliseconds for everything that an uploader waits for. */
  readonly timeoutMs: number;
  readonly onFailure: "report" | "accept";
  /** True: this host and port may have a private address. */
  readonly allowPrivate: boolean;
}

/** `json`: what the business server answered, as it wrote it. `found`: for the log alone; it may name inner hosts. */
export type Delivery =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly failure: CallbackFailure; readonly found?: string };

export interface DeliveryRequest {
  readonly notice: CallbackNotice;
  /** Of the upload. */
  readonly requestId: string;
  /** Aborts when the time is over. */
  readonly signal: AbortSignal;
}

export interface Receiver {
  /** Never rejects. */
  deliver(request: DeliveryRequest): Promise<Delivery>;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  readonly target: Pick<CallbackTarget, "url" | "secret" | "timeoutMs" | "allowPrivate">;
  /** At the same time. */
  readonly connections: number;
  readonly userAgent: string;
  readonly resolve: Resolve;
}

/** A longer answer is none. Bytes. */
export const MAX_ANSWER_BYTES = 65_536;
// Dialling ends a little before the time is over, so that a name server that is silent is told from a silent receiver.
const DIAL_SHARE = 0.9;
/** Before the second attempt: a receiver that is restarting gets a moment. */
const PAUSE_MS = 250;

export function createReceiver({ target, connections, userAgent, resolve }: ReceiverOptions): Receiver {
  const { url, secret, timeoutMs, allowPrivate } = target;
  const connectTimeoutMs = Math.ceil(timeoutMs * DIAL_SHARE);
  const caller = createCaller({ url, allowPrivate, connectTimeoutMs, connections, resolve });
  const { pathname, search } = new URL(url);

  async function attempt({ notice, requestId, signal }: DeliveryRequest): Promise<Delivery> {
    const reply = await caller.call({
      method: "POST",
      target: `${pathname}${search}`,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        accept: "application/json",
        "accept-encoding": "identity",
        "user-agent": userAgent,
        "x-request-id": requestId,
        // A connection kept open may end just as the notice goes out, and nobody could tell whether it arrived.
        connection: "close",
      },
      body: Buffer.from(callbackBody(notice, secret), "latin1"),
      signal,
    });
    return readAnswer(reply);
  }

  return {
    async deliver(request) {
      const { signal } = request;
      try {
        try {
          return await attempt(request);
        } catch (error) {
          if (signal.aborted || !isUnsent(error)) throw error;
          await delay(PAUSE_MS, undefined, { signal });
          return await attempt(request);
        }
      } catch (error) {
        if (signal.aborted) return { ok: false, failure: { reason: "timeout" } };
        return { ok: false, failure: { reason: reasonOf(error) }, found: asHuiyuanError(error).message };
      }
    },
    close: () => caller.close(),
  };
}

async function readAnswer({ status, body, discard }: CallReply): Promise<Delivery> {
  if (status < 200 || status > 299) {
    discard();
    return { ok: false, failure: { reason: "status", status } };
  }
  const bytes = await readWhole(body);
  const json = bytes === undefined ? undefined : jsonOf(bytes);
  return json === undefined ? { ok: false, failure: { reason: "bad_answer", status } } : { ok: true, json };
}

/** Undefined where there is more than may be read. */
async function readWhole(body: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  // Leaving the loop ends the connection.
  for await (const part of body) {
    size += part.byteLength;
    if (size > MAX_ANSWER_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The text of a JSON value, `null` for nothing at all; undefined where it is neither. */
function jsonOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
    if (text === "") return "null";
    JSON.parse(text);
    return text;
  } catch {
    return undefined; // Not UTF-8, not JSON, or nested deeper than can be read.
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

/** undici's words for an answer that is not HTTP, or has a head beyond all measure. */
const NOT_HTTP: ReadonlySet<unknown> = new Set([
  "HTTPParserError",
  "HeadersOverflowError",
  "ResponseContentLengthMismatchError",
]);

function reasonOf(error: unknown): CallbackFailure["reason"] {
  if (error instanceof Error && NOT_HTTP.has(error.name)) return "bad_answer";
  return DIAL_REASONS[asHuiyuanError(error).code] ?? "connect";
}

/** What another attempt may not meet. The dialer alone has such codes, so no byte has been sent. */
const UNSENT: readonly ErrorCode[] = ["origin_refused", "origin_dns_failed"];

function isUnsent(error: unknown): boolean {
  return UNSENT.includes(asHuiyuanError(error).code);
}
