// Requests to one S3 bucket: signed, with a deadline, tried again with jitter where another try may help, and every failure
// translated into store_failed or store_full. It knows requests and statuses, not objects.
import { setTimeout as delay } from "node:timers/promises";
import { createSharedSignals } from "../../async/shared-signals.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { EMPTY_PAYLOAD, encodeS3Path, type S3KeyCache, signS3Request } from "../../core/sigv4.ts";
import { type Availability, createAvailability } from "../remote/availability.ts";
import { errorCode } from "./answers.ts";
import { type BodyBounds, createIdleTimeout, discardBody, IdleTimeoutError, readBody } from "./bodies.ts";
import type { HttpCall, HttpCaller, HttpReply } from "./http-call.ts";
import { createNotFoundRule, isAboutObject, isFull, isRetryable, type NotFoundRule } from "./refusals.ts";

/** Where the S3 bucket is, as from s3Place(), and who asks. */
export interface S3Access {
  /** The bucket's own URL, without a slash at its end. */
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Request {
  readonly method: HttpCall["method"];
  /** The object's name; undefined for the bucket itself. */
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each try. */
  readonly body?: { readonly bytes: number; readonly sha256: string; open(): AsyncIterable<Buffer> };
  /** Milliseconds without progress, of the body that is sent, the head, or the body that comes, after which a try is given up. */
  readonly idleTimeoutMs: number;
  /** True: nothing that comes is progress, as the blanks that S3 sends while it works. The answer is whole after `patienceMs` or given up. */
  readonly isTotalTimeout?: boolean;
  /** Tries at the most that bring no answer; three where absent. None follows 20 s of silence in all. */
  readonly maxAttempts?: number;
  /** True: is sent also while S3 is known to be down. */
  readonly isProbe?: boolean;
  /** True: a 404 is handed back also where it may not be of S3. */
  readonly isCapabilityProbe?: boolean;
}

export interface S3Client {
  readonly availability: Availability;
  /**
   * An answer that the caller must judge: 2xx, of bytes that were put or got with an ETag, 304, 404, 409, 412, 416. A condition may
   * have been broken by an earlier try whose answer was lost. Throws store_failed, store_full; the body of the reply throws store_failed.
   */
  send(request: S3Request): Promise<HttpReply>;
  /** Whether a later request may succeed where one has ended in this error. */
  mayRetry(error: unknown): boolean;
  /** The store_failed of an answer that S3 does not give to such a request, only what stands before it; it may pass. */
  unexpectedReply(action: string, status: number): HuiyuanError;
  /** The whole body as text, of at most 8 MiB, within a minute or `ms`. Throws store_failed. */
  text(reply: HttpReply, ms?: number): Promise<string>;
  /** Reads a body away, so that its connection serves again. Throws store_failed, where it has no end too. */
  discard(reply: HttpReply): Promise<void>;
  readonly notFoundRule: Pick<NotFoundRule, "trustWithoutRequestId" | "withRequestId">;
  /** Breaks off what is under way. */
  close(): void;
}

export interface S3ClientOptions extends S3Access {
  readonly call: HttpCaller;
  /** Called for each 404 that was not believed. */
  readonly onUntrustedNotFound?: () => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random?: () => number;
  /** Milliseconds before the second try; doubled for each that follows. */
  readonly retryMs?: number;
}

const MAX_ATTEMPTS = 3;
/** After so much silence in all there is no other try: a client waits, and its connection does so not for ever. */
const MAX_IDLE_MS = 20_000;
/** Of what S3 answers with a no that may pass, as it does when it is asked too much: such an answer comes soon. */
const MAX_REFUSED_ATTEMPTS = 3;
const RETRY_MS = 150;
const PROBE_TIMEOUT_MS = 2_000;
/** Of a listing; the other answers that are read are short. */
const TEXT_BYTES = 8_388_608;
const TEXT_MS = 60_000;
/** Of an answer of which nothing but its head, or why it is a no, is wanted. */
const SHORT_BOUNDS = { bytes: 65_536, ms: 5_000 };

export function createS3Client(options: S3ClientOptions): S3Client {
  const { call, log, now, random = Math.random, retryMs = RETRY_MS } = options;
  const { origin, pathname } = new URL(options.url);
  const basePath = pathname.replace(/\/$/, "");
  const keyCache: S3KeyCache = new Map();
  const closing = new AbortController();
  const sharedClosing = createSharedSignals()(closing.signal);
  const availability = createAvailability({ probe: probeBucket, log });
  const retryable = new WeakSet<HuiyuanError>();
  const notFoundRule = createNotFoundRule();

  async function probeBucket(): Promise<void> {
    const reply = await send({ method: "HEAD", idleTimeoutMs: PROBE_TIMEOUT_MS, maxAttempts: 1, isProbe: true });
    if (reply.status >= 300) throw unexpectedReply("look at what is", reply.status);
    await discard(reply);
  }

  const discard = (reply: HttpReply) => discardBody(reply, SHORT_BOUNDS).catch(throwRetryable);

  const text = (reply: HttpReply, ms = TEXT_MS) => readText(reply, { bytes: TEXT_BYTES, ms }).catch(throwRetryable);

  /** An answer without an end is as good as none. */
  function throwRetryable(error: unknown): never {
    throw markRetryable(asHuiyuanError(error));
  }

  async function sendOnce(request: S3Request): Promise<HttpReply> {
    const { method, name, query = {}, body, idleTimeoutMs } = request;
    const path = name === undefined ? basePath : `${basePath}/${encodeS3Path(name)}`;
    const search = Object.entries(query).map(
      ([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`,
    );
    const target = (path === "" ? "/" : path) + (search.length === 0 ? "" : `?${search.join("&")}`);
    const headers = await signS3Request({
      method,
      url: origin + target,
      headers: { ...request.headers, ...(body === undefined ? {} : { "content-length": String(body.bytes) }) },
      region: options.region,
      credentials: options,
      payloadHash: body?.sha256 ?? EMPTY_PAYLOAD,
      now: now(),
      keyCache,
    });
    const idleTimeout = createIdleTimeout(idleTimeoutMs, sharedClosing);
    try {
      const sent = body === undefined ? undefined : idleTimeout.watch(body.open());
      const reply = await call({ method, target, headers, body: sent, signal: idleTimeout.signal });
      const chunks =
        request.isTotalTimeout === true ? idleTimeout.watchWhole(reply.body) : idleTimeout.watchReply(reply.body);
      return { status: reply.status, header: reply.header, body: replyBody(request, chunks) };
    } catch (error) {
      idleTimeout.end();
      throw error;
    }
  }

  /** What breaks off or stands still is S3's failure, whoever reads it, and may pass. */
  async function* replyBody(request: S3Request, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      const failure = failed(request, `the answer broke off: ${messageOf(error)}`, error);
      throw closing.signal.aborted ? failure : markRetryable(failure);
    }
  }

  /** The reply, or why another try may help; throws where none can. */
  async function attempt(request: S3Request): Promise<HttpReply | Retryable> {
    let reply: HttpReply;
    try {
      reply = await sendOnce(request);
    } catch (error) {
      return onNoReply(request, error);
    }
    if (lacksEtag(request, reply)) throw await notFromS3(request, reply, `${reply.status} with no ETag`);
    if (reply.status < 300) {
      availability.answered();
      return reply;
    }
    return onErrorStatus(request, reply);
  }

  /** What stands before S3 may answer in its place, as with a page of its own: that says nothing of the object. */
  async function notFromS3(request: S3Request, reply: HttpReply, found: string): Promise<HuiyuanError> {
    await discardBody(reply, SHORT_BOUNDS).catch(() => undefined); // It is of no use whole either.
    return markRetryable(failed(request, `the answer was ${found}, which is none of S3`));
  }

  /** No answer came. Throws where no other try may help. */
  function onNoReply(request: S3Request, error: unknown): Retryable {
    const code = error instanceof HuiyuanError ? error.code : undefined;
    // What is to be sent could not be read: that says nothing of S3.
    if (code?.startsWith("store_")) throw error;
    const failure = failed(request, messageOf(error), error);
    // The address is not allowed, and no other try will find another; or nobody waits any more.
    if (code === "origin_blocked" || closing.signal.aborted) throw failure;
    availability.failed(failure);
    return { failure, status: undefined, idleMs: error instanceof IdleTimeoutError ? error.milliseconds : 0 };
  }

  /** As attempt(), for an answer that says no. */
  async function onErrorStatus(request: S3Request, reply: HttpReply): Promise<HttpReply | Retryable> {
    const { status } = reply;
    if (status === 404 && !notFoundRule.isTrusted(reply) && request.isCapabilityProbe !== true) {
      options.onUntrustedNotFound?.();
      throw await notFromS3(request, reply, "404 with no request id");
    }
    const text = await readText(reply, SHORT_BOUNDS).catch(() => undefined);
    const code = errorCode(text ?? "") ?? "";
    const failure = refused(request, status, code);
    const mayRetry = isRetryable(status, code);
    if (!mayRetry || status < 500) availability.answered();
    if (mayRetry) return { failure, status };
    if (isAboutObject(status, code)) return reply;
    // S3 says why, but to a HEAD; a page that does not is of what stands before it.
    const isPage = text !== undefined && code === "" && request.method !== "HEAD";
    throw isPage ? markRetryable(failure) : failure;
  }

  async function send(request: S3Request): Promise<HttpReply> {
    let idleMs = 0;
    for (let attempts = 1; ; attempts += 1) {
      if (availability.isDown && request.isProbe !== true)
        throw markRetryable(failed(request, "it has not answered for a while"));
      const outcome = await attempt(request);
      if (!("failure" in outcome)) return outcome;
      idleMs += outcome.idleMs ?? 0;
      if (attempts >= maxAttemptsOf(request, outcome) || idleMs >= MAX_IDLE_MS) throw finalFailure(outcome);
      await delay(retryMs * 2 ** (attempts - 1) * (0.5 + random()), undefined, { ref: false });
    }
  }

  function finalFailure({ failure, status }: Retryable): HuiyuanError {
    // Not sooner: many who are refused once at the same moment say nothing of whether S3 is there.
    if (status !== undefined && status >= 500) availability.failed(failure);
    return markRetryable(failure);
  }

  function markRetryable(failure: HuiyuanError): HuiyuanError {
    retryable.add(failure);
    return failure;
  }

  function close(): void {
    availability.close();
    closing.abort(new Error("the store is closed"));
  }

  function failed(request: S3Request, found: string, cause?: unknown): HuiyuanError {
    return new HuiyuanError("store_failed", `Cannot ${describeRequest(request)}: ${found}`, { cause });
  }

  function refused(request: S3Request, status: number, code: string): HuiyuanError {
    const message = `Cannot ${describeRequest(request)}: S3 answered ${status}${code === "" ? "" : ` ${code}`}`;
    return new HuiyuanError(isFull(status, code) ? "store_full" : "store_failed", message);
  }

  function describeRequest({ method, name }: S3Request): string {
    return `${method} ${name === undefined ? "" : `"${name}" in `}the S3 bucket ${options.url}`;
  }

  function unexpectedReply(action: string, status: number): HuiyuanError {
    const message = `Cannot ${action} in the S3 bucket ${options.url}: the answer was ${status}, which is none of S3`;
    return markRetryable(new HuiyuanError("store_failed", message));
  }

  const mayRetry = (error: unknown) => error instanceof HuiyuanError && retryable.has(error);
  return { availability, send, mayRetry, unexpectedReply, text, discard, notFoundRule, close };
}

function maxAttemptsOf({ maxAttempts = MAX_ATTEMPTS, isProbe = false }: S3Request, { status }: Retryable): number {
  if (status === undefined) return maxAttempts;
  return isProbe ? 1 : MAX_REFUSED_ATTEMPTS;
}

/** S3 gives an ETag of what it has stored and of what it sends; the answer to a copy has it in its body. */
function lacksEtag({ method, name, body }: S3Request, { status, header }: HttpReply): boolean {
  const isOfBytes = name !== undefined && (method === "GET" || (method === "PUT" && body !== undefined));
  return isOfBytes && status < 300 && (header("etag") ?? "") === "";
}

/** Another try may help. */
interface Retryable {
  readonly failure: HuiyuanError;
  /** Of what was answered; undefined: nothing was. */
  readonly status: number | undefined;
  /** Milliseconds in which nothing moved, after which it was given up. */
  readonly idleMs?: number;
}

async function readText(reply: HttpReply, bounds: BodyBounds): Promise<string> {
  return (await readBody(reply, bounds)).toString();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
