// Sends requests to one S3 bucket: signs them, bounds their time, retries with jitter, and translates every failure
// into store_failed or store_full. It handles requests and statuses, not objects.
import { setTimeout as delay } from "node:timers/promises";
import { shareSignal } from "../../../async/cancellation.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { HttpCall, HttpCaller, HttpReply } from "../../../core/http-call.ts";
import type { Log } from "../../../core/log.ts";
import { EMPTY_PAYLOAD, encodeS3Path, type S3KeyCache, signS3Request } from "../../../core/sigv4.ts";
import { type Availability, createAvailability } from "../remote/availability.ts";
import { errorCode, hasRequestId, isAboutObject, isFull, isRetryable } from "./answers.ts";
import { createIdleTimeout, discardBody, readText } from "./bodies.ts";
import { createClock } from "./clock.ts";

/** Location of the S3 bucket, as from s3Place(), and the credentials. */
export interface S3Access {
  /** URL of the bucket, without a trailing slash. */
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Request {
  readonly method: HttpCall["method"];
  /** Name of the object; undefined for the bucket itself. */
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** `open` is called for each attempt. */
  readonly body?: { readonly bytes: number; readonly sha256: string; open(): AsyncIterable<Buffer> };
  /** Milliseconds without a byte, sent or received, after which an attempt is aborted. */
  readonly idleTimeoutMs: number;
  /**
   * True: received bytes do not extend `idleTimeoutMs`, so it bounds the whole response. For requests that S3 answers
   * with spaces while it works.
   */
  readonly isTotalTimeout?: boolean;
  /** Attempts that may end without a response; 3 by default. */
  readonly maxAttempts?: number;
  /** True: sent even while S3 is down. */
  readonly isProbe?: boolean;
}

export interface S3Client {
  readonly availability: Availability;
  /** As in RemoteStore. */
  clockNote(): string | undefined;
  /**
   * Resolves with a response that the caller interprets: 2xx (with an ETag after a put or get of bytes), 304, 404, 409,
   * 412, 416. A 404 means that S3 has no such object. A 412 may result from an earlier attempt that succeeded and lost
   * its response. Throws store_failed, store_full; the body throws store_failed.
   */
  send(request: S3Request): Promise<HttpReply>;
  /** Whether the same request may succeed later, after this error. */
  mayRetry(error: unknown): boolean;
  /** A retryable store_failed for a status that S3 does not send, only a proxy in front of it. */
  unexpectedReply(action: string, status: number): HuiyuanError;
  /** The body as text: at most 8 MiB, within `ms`, a minute by default. Throws store_failed. */
  text(reply: HttpReply, ms?: number): Promise<string>;
  /** Reads and drops a body, so that its connection can be reused. Throws store_failed if the body does not end. */
  discard(reply: HttpReply): Promise<void>;
  /** Aborts the requests in progress. */
  close(): void;
}

export interface S3ClientOptions extends S3Access {
  readonly call: HttpCaller;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds before the first retry; doubled for each further one. */
  readonly retryMs?: number;
}

const MAX_ATTEMPTS = 3;
const RETRY_MS = 150;
const PROBE_TIMEOUT_MS = 2_000;
/** For a listing; the other documents are short. */
const TEXT_BYTES = 8_388_608;
const TEXT_MS = 60_000;
/** For a response whose body is dropped or is an error document. */
const SHORT_BOUNDS = { bytes: 65_536, ms: 5_000 };

export function createS3Client(options: S3ClientOptions): S3Client {
  const { call, log, now, retryMs = RETRY_MS } = options;
  const { origin, pathname } = new URL(options.url);
  const basePath = pathname.replace(/\/$/, "");
  const keyCache: S3KeyCache = new Map();
  const closing = new AbortController();
  const sharedClosing = shareSignal(closing.signal);
  const availability = createAvailability({ name: "S3", probe: probeBucket, log });
  const clock = createClock(now, log);
  const retryable = new WeakSet<HuiyuanError>();

  async function probeBucket(): Promise<void> {
    const reply = await send({ method: "HEAD", idleTimeoutMs: PROBE_TIMEOUT_MS, maxAttempts: 1, isProbe: true });
    if (reply.status >= 300) throw unexpectedReply("look up objects", reply.status);
    await discard(reply);
  }

  const discard = (reply: HttpReply) => discardBody(reply, SHORT_BOUNDS).catch(throwRetryable);

  const text = (reply: HttpReply, ms = TEXT_MS) => readText(reply, { bytes: TEXT_BYTES, ms }).catch(throwRetryable);

  /** A response without an end counts as no response. */
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
    const sentAt = now();
    const headers = await signS3Request({
      method,
      url: origin + target,
      headers: { ...request.headers, ...(body === undefined ? {} : { "content-length": String(body.bytes) }) },
      region: options.region,
      credentials: options,
      payloadHash: body?.sha256 ?? EMPTY_PAYLOAD,
      now: sentAt,
      keyCache,
    });
    const idleTimeout = createIdleTimeout(idleTimeoutMs, sharedClosing);
    try {
      const sent = body === undefined ? undefined : idleTimeout.watch(body.open());
      const reply = await call({ method, target, headers, body: sent, signal: idleTimeout.signal });
      clock.compare(reply.header("date"), sentAt);
      const chunks = idleTimeout.watchReply(reply.body, request.isTotalTimeout === true);
      return { status: reply.status, header: reply.header, body: replyBody(request, chunks) };
    } catch (error) {
      idleTimeout.end();
      throw error;
    }
  }

  /** If the body breaks off or stalls, its reader gets a retryable failure of S3. */
  async function* replyBody(request: S3Request, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      const failure = failed(request, `the response broke off: ${messageOf(error)}`, error);
      throw closing.signal.aborted ? failure : markRetryable(failure);
    }
  }

  /** Resolves with the reply, or with a retryable failure. Throws a failure that a retry cannot help. */
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

  /** The failure for a response of a proxy, such as an error page: it does not describe the object. */
  async function notFromS3(request: S3Request, reply: HttpReply, found: string): Promise<HuiyuanError> {
    await discardBody(reply, SHORT_BOUNDS).catch(() => undefined); // The body is not needed.
    return markRetryable(failed(request, `the response was ${found}, which S3 does not send`));
  }

  /** Handles a request without a response. Throws if a retry cannot help. */
  function onNoReply(request: S3Request, error: unknown): Retryable {
    const code = error instanceof HuiyuanError ? error.code : undefined;
    // Reading the request body failed, which is no failure of S3.
    if (code?.startsWith("store_")) throw error;
    const failure = failed(request, messageOf(error), error);
    // A retry would find the same blocked address, and a closing store sends none.
    if (code === "origin_blocked" || closing.signal.aborted) throw failure;
    availability.failed(failure);
    return { failure, status: undefined };
  }

  /** As attempt(), for an error status. */
  async function onErrorStatus(request: S3Request, reply: HttpReply): Promise<HttpReply | Retryable> {
    const { status } = reply;
    const text = await readText(reply, SHORT_BOUNDS).catch(() => undefined);
    const code = errorCode(text ?? "") ?? "";
    if (status === 404 && !hasRequestId(reply) && !(await isNoSuchKey(request, code)))
      throw await notFromS3(request, reply, "404 with no request id");
    const failure = refused(request, status, code);
    const mayRetry = isRetryable(status, code);
    if (!mayRetry || status < 500) availability.answered();
    if (mayRetry) return { failure, status };
    if (isAboutObject(status, code)) return reply;
    // S3 sends an error code except to a HEAD. A page without one comes from a proxy.
    const isPage = text !== undefined && code === "" && request.method !== "HEAD";
    throw isPage ? markRetryable(failure) : failure;
  }

  /**
   * Whether S3 itself says that there is no such object; it may send no request ids. A HEAD has no body with a code, so
   * a GET for the first byte follows it. Throws a retryable store_failed without a response.
   */
  async function isNoSuchKey({ method, name }: S3Request, code: string): Promise<boolean> {
    if (method !== "HEAD" || name === undefined) return code === "NoSuchKey";
    const request = { method: "GET", name, headers: { range: "bytes=0-0" }, idleTimeoutMs: PROBE_TIMEOUT_MS } as const;
    try {
      return errorCode(await readText(await sendOnce(request), SHORT_BOUNDS)) === "NoSuchKey";
    } catch (error) {
      throw markRetryable(failed(request, messageOf(error), error));
    }
  }

  async function send(request: S3Request): Promise<HttpReply> {
    for (let attempts = 1; ; attempts += 1) {
      if (availability.isDown && request.isProbe !== true) throw markRetryable(failed(request, "S3 is down"));
      const outcome = await attempt(request);
      if (!("failure" in outcome)) return outcome;
      const { maxAttempts = MAX_ATTEMPTS, isProbe } = request;
      // Responses that refuse for the moment, as under load, arrive fast.
      const isFast = outcome.status !== undefined && isProbe !== true;
      if (attempts >= (isFast ? MAX_ATTEMPTS : maxAttempts)) throw finalFailure(outcome);
      await delay(retryMs * 2 ** (attempts - 1) * (0.5 + Math.random()), undefined, { ref: false });
    }
  }

  function finalFailure({ failure, status }: Retryable): HuiyuanError {
    // Only after the last attempt: many requests that are refused once at the same moment do not mean that S3 is down.
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
    const message = `Cannot ${action} in the S3 bucket ${options.url}: the response was ${status}, which S3 does not send`;
    return markRetryable(new HuiyuanError("store_failed", message));
  }

  const mayRetry = (error: unknown) => error instanceof HuiyuanError && retryable.has(error);
  return { availability, clockNote: clock.note, send, mayRetry, unexpectedReply, text, discard, close };
}

/** S3 sends an ETag for bytes that it stored or sends. The response to a copy has the ETag in its body. */
function lacksEtag({ method, name, body }: S3Request, { status, header }: HttpReply): boolean {
  const isOfBytes = name !== undefined && (method === "GET" || (method === "PUT" && body !== undefined));
  return isOfBytes && status < 300 && (header("etag") ?? "") === "";
}

/** A failure that a retry may resolve. */
interface Retryable {
  readonly failure: HuiyuanError;
  /** Undefined without a response. */
  readonly status: number | undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
