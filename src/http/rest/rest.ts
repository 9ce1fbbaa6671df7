// Serves one call of the REST API for uploads (万象优图 V2, `/photos/v1/` and `/photos/v2/`), top to bottom. Every host
// that serves no downloads by name has the API. The operations themselves are in the files beside.
import type { IncomingMessage, ServerResponse } from "node:http";
import { asHuiyuanError, errorRow, HuiyuanError } from "../../core/errors.ts";
import { createFailureLog } from "../../mirror/failure-log.ts";
import { awaitsContinue } from "../request/exchange.ts";
import { corsHeaders, preflightHeaders } from "../response/cors.ts";
import { MAX_DISCARD_MS, MAX_UNREAD_BYTES } from "../wire/lingering-close.ts";
import { type ApiAnswer, failure, sendAnswer } from "./answer.ts";
import type { Call, CallName, CallNotes, RestApiParts } from "./call.ts";
import { stat } from "./operations.ts";
import { post } from "./post.ts";
import type { ManagedBucket, Project } from "./project.ts";
import { boundFileidOf, signOf } from "./sign.ts";
import { type ApiRequest, type ApiTarget, parseApiPath, readApiRequest } from "./target.ts";

export interface RestApiOptions extends RestApiParts {
  readonly nextRequestId: () => string;
  /** Called once for every call, after its answer was sent. */
  readonly answered: (call: AnsweredCall) => void;
}

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

export interface RestApi {
  /** False: the request is not an API call, and nothing was done. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

export function createRestApi(options: RestApiOptions): RestApi {
  const { log, nextRequestId } = options;
  const failures = createFailureLog(log, {}, "API calls");

  async function run(request: IncomingMessage, response: ServerResponse, apiRequest: () => ApiRequest): Promise<void> {
    const startedAt = performance.now();
    const requestId = nextRequestId();
    const about: CallNotes = { name: "unknown", bucketId: undefined, fileid: undefined, bytes: 0, hasContinued: false };
    const exchange = { request, response, requestId, about };
    let cors: readonly string[] = [];
    let answer: ApiAnswer | undefined;
    try {
      const begun = begin(exchange, apiRequest(), options);
      cors = begun.known === undefined ? [] : corsHeaders(begun.known.cors, request.headers.origin);
      answer = await serve(begun, options);
    } catch (error) {
      const known = asHuiyuanError(error);
      logFailure(known, requestId);
      if (known.code !== "client_gone") answer = failure(known);
    }
    if (answer !== undefined && !response.headersSent) {
      sendAnswer(exchange, answer, [...cors, "X-Request-Id", requestId, ...connectionAfter(exchange)]);
    }
    discardRest(request);
    const code = about.name === "preflight" ? 0 : answer?.code;
    const milliseconds = performance.now() - startedAt;
    options.answered({ ...about, request, requestId, code, message: answer?.message, milliseconds });
  }

  function logFailure(error: HuiyuanError, requestId: string): void {
    const isOurs = errorRow(error.code).status === 500 || SERVER_FAILURES.has(error.code);
    if (isOurs) failures.error(error.code, { requestId, err: error }, "an API call failed");
  }

  return {
    answer(request, response) {
      const { isDomain } = options.projects();
      let apiRequest: () => ApiRequest;
      try {
        const found = readApiRequest(request.url ?? "", hostsOf(request), isDomain);
        if (found === undefined) return false;
        apiRequest = () => found;
      } catch (error) {
        apiRequest = () => {
          throw error;
        };
      }
      run(request, response, apiRequest).catch((error: unknown) => {
        // A bug of ours while answering must not end the program.
        log.error({ err: asHuiyuanError(error) }, "cannot answer an API call");
        response.destroy();
      });
      return true;
    },
  };
}

// Lets scripts send `Authorization`. Forms with `?sign=` need no preflight.
const PREFLIGHT = { methods: "GET, POST, OPTIONS", headers: "Authorization" };

type Begun = Omit<Call, "target" | "project"> & { readonly target: ApiTarget; readonly project: Project | undefined };

/** Throws rest_path_invalid, url_too_long, host_invalid. */
function begin(
  exchange: Pick<Call, "request" | "response" | "requestId" | "about">,
  { host, path }: ApiRequest,
  { projects, tokens }: RestApiParts,
): Begun {
  const { request, response, about } = exchange;
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
  return { ...exchange, host, target, project, bucketName, known, sign, bound, signal };
}

async function serve(begun: Begun, parts: RestApiParts): Promise<ApiAnswer | undefined> {
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
  return request.method === "GET" ? stat(call, parts) : post(call, parts);
}

/** Failures of the server, although their status is 400. */
const SERVER_FAILURES: ReadonlySet<string> = new Set(["delete_failed", "copy_failed"]);

/** A client that got no "100 Continue" may send its body or not, so the start of a next request is unknown. */
function connectionAfter({ request, about }: Pick<Call, "request" | "about">): readonly string[] {
  return awaitsContinue(request) && !about.hasContinued ? ["Connection", "close"] : [];
}

function hostsOf({ rawHeaders }: IncomingMessage): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === "host");
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
