// The REST API of uploads (万象优图 V2, `/photos/v1/` and `/photos/v2/`): the walk of one call, top to bottom. Every host
// that serves no downloads by name is asked the same way. What is answered is in the files beside.
import type { IncomingMessage, ServerResponse } from "node:http";
import { asHuiyuanError, errorRow, HuiyuanError } from "../../core/errors.ts";
import { createFailureLog } from "../../mirror/failure-log.ts";
import { corsHeaders, preflightHeaders } from "../response/cors.ts";
import { awaitsContinue } from "../wire/continue.ts";
import { MAX_READING_AWAY_MS, MAX_UNREAD_BYTES } from "../wire/lingering-close.ts";
import { type ApiAnswer, failure, sendAnswer } from "./answer.ts";
import type { Call, CallName, CallNotes, RestApiParts } from "./call.ts";
import { stat } from "./operations.ts";
import { post } from "./post.ts";
import type { ManagedBucket, Project } from "./project.ts";
import { boundFileidOf, signOf } from "./sign.ts";
import { type ApiRequest, type ApiTarget, parseApiPath, readApiRequest } from "./target.ts";

export interface RestApiOptions extends RestApiParts {
  readonly nextRequestId: () => string;
  /** Called once for every call, when its answer is decided. */
  readonly answered: (call: AnsweredCall) => void;
}

/** How a call was answered, for counters and logs. */
export interface AnsweredCall extends Readonly<CallNotes> {
  readonly name: CallName;
  readonly request: IncomingMessage;
  readonly requestId: string;
  /** Of the answer; undefined where the client has left before it. */
  readonly code: number | undefined;
  readonly message: string | undefined;
  /** The monotonic clock. */
  readonly milliseconds: number;
}

export interface RestApi {
  /** False: the request is none of the API's, and nothing was done. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

export function createRestApi(options: RestApiOptions): RestApi {
  const { log, nextRequestId } = options;
  const failures = createFailureLog(log, {}, "API calls");

  async function run(request: IncomingMessage, response: ServerResponse, asked: () => ApiRequest): Promise<void> {
    const startedAt = performance.now();
    const requestId = nextRequestId();
    const about: CallNotes = { name: "unknown", bucketId: undefined, fileid: undefined, bytes: 0, hasContinued: false };
    const exchange = { request, response, requestId, about };
    let cors: readonly string[] = [];
    let answer: ApiAnswer | undefined;
    try {
      const begun = begin(exchange, asked(), options);
      cors = begun.known === undefined ? [] : corsHeaders(begun.known.cors, request.headers.origin);
      answer = await serve(begun, options);
    } catch (error) {
      const known = asHuiyuanError(error);
      tell(known, requestId);
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

  function tell(error: HuiyuanError, requestId: string): void {
    const isOurs = errorRow(error.code).status === 500 || FAULTS.has(error.code);
    if (isOurs) failures.error(error.code, { requestId, err: error }, "an API call failed");
  }

  return {
    answer(request, response) {
      const { isDomain } = options.projects();
      let asked: () => ApiRequest;
      try {
        const found = readApiRequest(request.url ?? "", hostsOf(request), isDomain);
        if (found === undefined) return false;
        asked = () => found;
      } catch (error) {
        asked = () => {
          throw error;
        };
      }
      run(request, response, asked).catch((error: unknown) => {
        // A fault of ours in answering: it must not end the program.
        log.error({ err: asHuiyuanError(error) }, "an API call could not be answered");
        response.destroy();
      });
      return true;
    },
  };
}

// The original service refused OPTIONS; forms with `?sign=` need no preflight.
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
    throw new HuiyuanError("rest_method_refused", `Cannot do ${request.method}: only GET, POST and OPTIONS`);
  }
  if (project === undefined) throw new HuiyuanError("appid_unknown", `Cannot serve: no project ${target.appid}`);
  if (!project.isEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  const call: Call = { ...begun, project };
  return request.method === "GET" ? stat(call, parts) : post(call, parts);
}

/** Not the fault of whoever calls. */
const FAULTS: ReadonlySet<string> = new Set(["delete_failed", "copy_failed"]);

/** It may send its body or not now: where the next request begins cannot be known. */
function connectionAfter({ request, about }: Pick<Call, "request" | "about">): readonly string[] {
  return awaitsContinue(request) && !about.hasContinued ? ["Connection", "close"] : [];
}

function hostsOf({ rawHeaders }: IncomingMessage): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === "host");
}

/** The request itself tells nothing: one that has waited for its turn has been read to its end, and is destroyed. */
function cancellationOf(response: ServerResponse): AbortSignal {
  const cancellation = new AbortController();
  const leave = () => {
    if (!response.writableFinished)
      cancellation.abort(new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection"));
  };
  if (response.destroyed) leave();
  else response.once("close", leave);
  return cancellation.signal;
}

/** Reads the request to its end. Whoever read it before has left. */
function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) {
    request.resume();
    return;
  }
  const { socket } = request;
  let bytes = 0;
  const giveUp = () => void socket.destroy();
  const timer = setTimeout(giveUp, MAX_READING_AWAY_MS);
  const settle = () => {
    clearTimeout(timer);
    socket.off("close", settle);
  };
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_UNREAD_BYTES) giveUp();
  });
  request.once("end", settle);
  // The request itself is not told once it is answered.
  socket.on("close", settle);
  // A client that leaves now has been answered, or has not waited.
  request.on("error", () => undefined);
  request.resume();
}
