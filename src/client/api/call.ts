// One call of the REST API: sent with a deadline, repeated where that cannot do harm, its answer read with a bound.
// What is asked and what the answer means is for others.
import { setTimeout as setTimer } from "node:timers/promises";
import { HuiyuanClientError, refusedError, transportError } from "../errors/client-error.ts";
import { isRefusedUnprocessed, STORED_CALLBACK_FAILED } from "../errors/codes.ts";
import { type Answer, isRecord, readUploaded } from "./answers.ts";
import type { Form } from "./form.ts";

export interface Caller {
  /** Throws HuiyuanClientError; rejects with the signal's reason where the caller aborts. */
  call(request: ApiRequest): Promise<Answer>;
}

export interface CallerOptions {
  /** As given; paths are put behind it. */ readonly endpoint: string;
  /** Without progress for so long, an attempt is given up. Milliseconds. */ readonly timeoutMs: number;
  /** Further attempts after the first. */ readonly retries: number;
  readonly fetch: typeof fetch;
}

export interface ApiRequest {
  readonly method: "GET" | "POST";
  /** With its leading slash. */ readonly path: string;
  /** A token; asked anew for each attempt, since some are good for one use. */ readonly sign?: () => string;
  readonly form?: Form;
  readonly onFile?: ((bytes: number) => void) | undefined;
  /** `always`: doing it twice is doing it once. `if-undone`: only after a refusal that changed nothing. */
  readonly retry: "always" | "if-unprocessed" | "never";
  readonly signal?: AbortSignal | undefined;
}

/** An upload's answer may carry 64 KB of the business server's. */
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

/** No connection came about, so that the service has not seen the request. */
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
    response = await options.fetch(options.endpoint + request.path, {
      ...init(request, deadline),
      signal: deadline.signal,
    });
    return readAnswer(response, await readBounded(response, deadline));
  } catch (error) {
    throw translated(error, { deadline, request, response, timeoutMs: options.timeoutMs });
  } finally {
    deadline.end();
  }
}

function init({ method, sign, form, onFile }: ApiRequest, deadline: Deadline): RequestInit {
  const headers: Record<string, string> = { ...(sign !== undefined && { Authorization: `QCloud ${sign()}` }) };
  // A redirect would carry the signature elsewhere.
  const common = { method, headers, redirect: "error" } as const;
  if (form === undefined) return common;
  headers["Content-Type"] = form.contentType;
  headers["Content-Length"] = String(form.size);
  const chunks = form.chunks((bytes) => {
    deadline.extend();
    onFile?.(bytes);
  });
  return { ...common, body: ReadableStream.from(chunks), duplex: "half" };
}

/** A service that answers while it is still sent the file is read all the same; the rest of the file is not sent. */
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

/** Throws what the service refused, or answer_unreadable. */
function readAnswer(response: Response, body: string): Answer {
  const json = parsed(body);
  if (!isRecord(json) || typeof json.code !== "number") throw unreadable(response, "it is no answer of this API");
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
    return undefined; // no JSON: a proxy's page, or a server of another kind
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

interface Attempt {
  readonly deadline: Deadline;
  readonly request: ApiRequest;
  readonly response: Response | undefined;
  readonly timeoutMs: number;
}

/** fetch wraps what its body throws, and names every failure of the network alike. */
function translated(error: unknown, { deadline, request, response, timeoutMs }: Attempt): unknown {
  if (request.signal?.aborted) return request.signal.reason;
  const details = { cause: error, ...(response && { httpStatus: response.status, requestId: requestIdOf(response) }) };
  if (deadline.isOver()) return transportError("timed_out", `Nothing moved for ${timeoutMs} ms`, details);
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof HuiyuanClientError) return inner;
  }
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return transportError("network_failed", `Cannot reach the service: ${reason}`, details);
}

interface Deadline {
  readonly signal: AbortSignal;
  /** Something moved. */ extend(): void;
  isOver(): boolean;
  end(): void;
}

function startDeadline(milliseconds: number, outer: AbortSignal | undefined): Deadline {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(), milliseconds);
  return {
    signal: outer === undefined ? own.signal : AbortSignal.any([own.signal, outer]),
    extend: () => void timer.refresh(),
    isOver: () => own.signal.aborted,
    end: () => clearTimeout(timer),
  };
}

/** Rejects with the signal's reason. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimer(milliseconds, undefined, signal && { signal }).catch(() => undefined); // aborted: the next line says so
  signal?.throwIfAborted();
}
