// Serves one call of the REST API for uploads (万象优图 V2, `/photos/v1/` and `/photos/v2/`), top to bottom. Every host
// that serves no downloads by name has the API. The operations themselves are in the files beside.
import type { IncomingMessage, ServerResponse } from "node:http";
import { errorRow, HuiyuanError } from "../../core/errors.ts";
import { awaitsContinue } from "../request/exchange.ts";
import { corsHeaders, preflightHeaders } from "../response/cors.ts";
import { MAX_DISCARD_MS, MAX_UNREAD_BYTES } from "../wire/lingering-close.ts";
import { type ApiAnswer, wholeAnswer } from "./answer.ts";
import type { Call, CallExchange, CallName, CallNotes, RestApiParts } from "./call.ts";
import { stat } from "./operations.ts";
import { post } from "./post.ts";
import type { ManagedBucket, Project } from "./project.ts";
import { boundFileidOf, signOf } from "./sign.ts";
import { type ApiRequest, type ApiTarget, parseApiPath, readApiRequest } from "./target.ts";

/** A finished call, for counters and logs. */
export interface AnsweredCall extends Readonly<CallNotes> {
  readonly name: CallName;
  readonly request: IncomingMessage;
  readonly requestId: string;
  /** Code of the answer; undefined: the client disconnected before it. */
  readonly code: number | undefined;
  readonly message: string | undefined;
  /** Duration by the monotonic clock. */
  readonly milliseconds: number;
}

export function beginCall(request: IncomingMessage, response: ServerResponse, requestId: string): CallExchange {
  const about: CallNotes = { name: "unknown", bucketId: undefined, fileid: undefined, bytes: 0, hasContinued: false };
  return { request, response, requestId, startedAt: performance.now(), about, cors: [] };
}

/** Undefined: the answer was sent. Rejects with the error to answer with. */
export async function serveCall(exchange: CallExchange, parts: RestApiParts): Promise<ApiAnswer | undefined> {
  const begun = begin(exchange, parts);
  if (begun.known !== undefined) exchange.cors = corsHeaders(begun.known.cors, exchange.request.headers.origin);
  return serve(begun);
}

/** Sends the answer, if there is one and none was sent, and drops the rest of the request. */
export function finishCall(exchange: CallExchange, answer: ApiAnswer | undefined): AnsweredCall {
  const { request, response, requestId, startedAt, about, cors } = exchange;
  if (answer !== undefined && !response.headersSent) {
    const more = [...cors, "X-Request-Id", requestId, ...connectionAfter(exchange)];
    const { status, headers, body } = wholeAnswer(answer, more);
    response.writeHead(status, [...headers]);
    response.end(request.method === "HEAD" ? undefined : body);
  }
  discardRest(request);
  const code = about.name === "preflight" ? 0 : answer?.code;
  const milliseconds = performance.now() - startedAt;
  return { ...about, request, requestId, code, message: answer?.message, milliseconds };
}

/** Whether a failed call is the server's fault, although its status is 400. */
export function isServerFailure({ code }: HuiyuanError): boolean {
  return errorRow(code).status === 500 || code === "delete_failed" || code === "copy_failed";
}

// Lets scripts send `Authorization`. Forms with `?sign=` need no preflight.
const PREFLIGHT = { methods: "GET, POST, OPTIONS", headers: "Authorization" };

type Begun = Omit<Call, "target" | "project"> & { readonly target: ApiTarget; readonly project: Project | undefined };

/** Throws rest_path_invalid, url_too_long, host_invalid. */
function begin(exchange: CallExchange, parts: RestApiParts): Begun {
  const { projects, tokens } = parts;
  const { request, response, requestId, about } = exchange;
  // The route was chosen by the same function in this turn of the event loop.
  const { host, path } = readApiRequest(request, projects().isDomain) as ApiRequest;
  if (host === "" && request.httpVersion !== "1.0") {
    throw new HuiyuanError("host_invalid", "Cannot serve: the request has no Host header");
  }
  const target = parseApiPath(path);
  const project = projects().find(target.appid);
  const known: ManagedBucket | undefined =
    target.bucket === undefined ? project?.firstBucket : project?.buckets.get(target.bucket);
  about.bucketId = known?.stored.bucketId;
  const sign = signOf(request.headers.authorization, target.rawQuery);
  const bound = boundFileidOf(sign, tokens);
  const signal = cancellationOf(response);
  const bucketName = known?.name ?? target.bucket ?? "";
  return { parts, request, response, requestId, about, host, target, project, bucketName, known, sign, bound, signal };
}

async function serve(begun: Begun): Promise<ApiAnswer | undefined> {
  const { request, response, requestId, known, project, target, about } = begun;
  if (request.method === "OPTIONS") {
    about.name = "preflight";
    response.writeHead(204, [
      ...preflightHeaders(known?.cors ?? [], request.headers, PREFLIGHT),
      "X-Request-Id",
      requestId,
    ]);
    response.end();
    return undefined;
  }
  if (request.method !== "GET" && request.method !== "POST") {
    throw new HuiyuanError(
      "rest_method_refused",
      `Cannot do ${request.method}: only GET, POST and OPTIONS are allowed`,
    );
  }
  if (project === undefined)
    throw new HuiyuanError("appid_unknown", `Cannot serve: there is no project ${target.appid}`);
  if (!project.isEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  const call: Call = { ...begun, project };
  return request.method === "GET" ? stat(call) : post(call);
}

/** A client that got no "100 Continue" may send its body or not, so the start of a next request is unknown. */
function connectionAfter({ request, about }: CallExchange): readonly string[] {
  return awaitsContinue(request) && !about.hasContinued ? ["Connection", "close"] : [];
}

/** Aborts when the response closes early. The request shows nothing: a pipelined one is read and destroyed by now. */
function cancellationOf(response: ServerResponse): AbortSignal {
  const cancellation = new AbortController();
  const abort = () => {
    if (!response.writableFinished)
      cancellation.abort(new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection"));
  };
  if (response.destroyed) abort();
  else response.once("close", abort);
  return cancellation.signal;
}

/**
 * Reads and drops the rest of an answered request, within bounds: most clients send all of it before they read the
 * answer. This is for connections that stay open; wire/lingering-close.ts handles those that close. No other reader may
 * be attached.
 */
function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) {
    request.resume();
    return;
  }
  const { socket } = request;
  let bytes = 0;
  const giveUp = () => void socket.destroy();
  const timer = setTimeout(giveUp, MAX_DISCARD_MS);
  const settle = () => {
    clearTimeout(timer);
    socket.off("close", settle);
  };
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_UNREAD_BYTES) giveUp();
  });
  request.once("end", settle);
  // An answered request emits no close of its own.
  socket.on("close", settle);
  // No handling: a client that disconnects now has its answer, or did not wait for it.
  request.on("error", () => undefined);
  request.resume();
}
