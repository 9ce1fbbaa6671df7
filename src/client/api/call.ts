// Sends one call of the REST API with a deadline, retries it if that is safe, and reads a bounded answer.
// It does not know the operations: client.ts makes the requests, answers.ts reads the results.
import { setTimeout as setTimer } from "node:timers/promises";
import { type Answer, isRecord, readUploaded } from "./answers.ts";
import {
  HuiyuanClientError,
  isRefusedUnprocessed,
  refusedError,
  STORED_CALLBACK_FAILED,
  transportError,
} from "./client-error.ts";
import type { Form } from "./form.ts";

export interface Caller {
  /** Throws HuiyuanClientError; rejects with the signal's reason if the caller aborts. */
  call(request: ApiRequest): Promise<Answer>;
}

export interface CallerOptions {
  /** URL without a slash at its end; paths are appended. */ readonly endpoint: string;
  /** An attempt without progress for this time fails. Milliseconds. */ readonly timeoutMs: number;
  /** Attempts after the first. */ readonly retries: number;
  readonly fetch: typeof fetch;
}

export interface ApiRequest {
  readonly method: "GET" | "POST";
  /** With its leading slash. */ readonly path: string;
  /** Makes a token; called for each attempt, because some tokens are good for one use. */ readonly sign?: () => string;
  readonly form?: Form;
  readonly onFile?: ((bytes: number) => void) | undefined;
  /** `always`: the call is idempotent. `if-unprocessed`: only after a refusal that changed nothing. */
  readonly retry: "always" | "if-unprocessed" | "never";
  readonly signal?: AbortSignal | undefined;
}

/** An upload's answer may include 64 KB from the callback's server. */
const MAX_ANSWER_BYTES = 1_048_576;
const FIRST_PAUSE_MS = 200;

export function createCaller(options: CallerOptions): Caller {
  return {
    async call(request) {
      for (let attempt = 0; ; attempt += 1) {
        request.signal?.throwIfAborted();
        try {
          return await attemptOnce(options, request);
        } catch (error) {
          if (attempt >= options.retries || !mayRetry(request, error)) throw error;
          await pause(FIRST_PAUSE_MS * 2 ** attempt, request.signal);
        }
      }
    },
  };
}

function mayRetry({ retry }: ApiRequest, error: unknown): boolean {
  if (!(error instanceof HuiyuanClientError) || retry === "never") return false;
  if (isRefusedUnprocessed(error.code) || wasNeverSent(error)) return true;
  const isOnTheWay = error.name === "network_failed" || error.name === "timed_out";
  return retry === "always" && (isOnTheWay || error.name === "service_failed");
}

/** True if no connection was made, so the service has not seen the request. */
function wasNeverSent({ cause }: HuiyuanClientError): boolean {
  const code: unknown = isRecord(cause) && isRecord(cause.cause) ? cause.cause.code : undefined;
  return typeof code === "string" && NO_CONNECTION.includes(code);
}
const NO_CONNECTION = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
];

async function attemptOnce(options: CallerOptions, request: ApiRequest): Promise<Answer> {
  const deadline = startDeadline(options.timeoutMs, request.signal);
  let response: Response | undefined;
  try {
    response = await options.fetch(options.endpoint + request.path, init(request, deadline));
    return readAnswer(response, await readBounded(response, deadline));
  } catch (error) {
    request.signal?.throwIfAborted();
    throw translated(error, response, deadline.isOver() ? options.timeoutMs : undefined);
  } finally {
    deadline.end();
  }
}

function init({ method, sign, form, onFile }: ApiRequest, deadline: Deadline): RequestInit {
  const headers: Record<string, string> = { ...(sign !== undefined && { Authorization: `QCloud ${sign()}` }) };
  // Redirects are refused, because they would send the signature to another host.
  const common = { method, headers, redirect: "error", signal: deadline.signal } as const;
  if (form === undefined) return common;
  headers["Content-Type"] = form.contentType;
  headers["Content-Length"] = String(form.size);
  const chunks = form.chunks((bytes) => {
    deadline.extend();
    onFile?.(bytes);
  });
  return { ...common, body: ReadableStream.from(chunks), duplex: "half" };
}

/** An answer that arrives during the upload is read at once; the rest of the file is not sent. */
async function readBounded(response: Response, deadline: Deadline): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    deadline.extend();
    size += part.byteLength;
    if (size > MAX_ANSWER_BYTES) throw unreadable(response, `it has more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Throws the error for a refusal, or answer_unreadable. */
function readAnswer(response: Response, body: string): Answer {
  const json = parsed(body);
  if (!isRecord(json) || typeof json.code !== "number") throw unreadable(response, "it is not an answer of this API");
  const data = isRecord(json.data) ? json.data : {};
  const answer = { data, httpStatus: response.status, requestId: requestIdOf(response) };
  if (json.code === 0) return answer;
  const message = typeof json.message === "string" ? json.message : "";
  const uploaded = json.code === STORED_CALLBACK_FAILED ? { uploaded: readUploaded(answer) } : {};
  throw refusedError({ ...answer, code: json.code, message, ...uploaded });
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // not JSON: a proxy's error page, or another kind of server
  }
}

function unreadable(response: Response, found: string): HuiyuanClientError {
  const details = { httpStatus: response.status, requestId: requestIdOf(response) };
  return transportError(
    "answer_unreadable",
    `Cannot read the service's answer: ${found} (HTTP ${response.status})`,
    details,
  );
}

function requestIdOf(response: Response): string | undefined {
  return response.headers.get("x-request-id") ?? undefined;
}

/**
 * fetch wraps errors of the request body, and reports every network failure as the same TypeError. `lateMs`: the
 * deadline, if it has passed.
 */
function translated(error: unknown, response: Response | undefined, lateMs: number | undefined): unknown {
  const details = { cause: error, ...(response && { httpStatus: response.status, requestId: requestIdOf(response) }) };
  if (lateMs !== undefined)
    return transportError(
      "timed_out",
      `Cannot finish the call: no bytes were sent or received for ${lateMs} ms`,
      details,
    );
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof HuiyuanClientError) return inner;
  }
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return transportError("network_failed", `Cannot reach the service: ${reason}`, details);
}

type Deadline = ReturnType<typeof startDeadline>;

function startDeadline(milliseconds: number, outer: AbortSignal | undefined) {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(), milliseconds);
  return {
    signal: outer === undefined ? own.signal : AbortSignal.any([own.signal, outer]),
    /** Call on progress: the deadline starts again. */ extend: () => void timer.refresh(),
    isOver: () => own.signal.aborted,
    end: () => clearTimeout(timer),
  };
}

/** Rejects with the signal's reason. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimer(milliseconds, undefined, signal && { signal }).catch(() => undefined); // aborted: thrown below
  signal?.throwIfAborted();
}
