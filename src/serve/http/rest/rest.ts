// Serves one call of the REST API for uploads (万象优图 V2, `/photos/v1/` and `/photos/v2/`), top to bottom. Every host
// that serves no downloads by name has the API. The operations themselves are in the files beside.
import type { IncomingMessage, ServerResponse } from "node:http";
import { HuiyuanError } from "../../../core/errors.ts";
import { clientSignal, NodeResponse } from "../request/exchange.ts";
import { corsHeaders, preflightHeaders } from "../response/cors.ts";
import type { Call, CallExchange, CallFacts, CallName, RestApiParts } from "./call.ts";
import { stat } from "./operations.ts";
import { post } from "./post.ts";
import type { ManagedBucket, Project } from "./project.ts";
import { type ApiAnswer, wholeAnswer } from "./rest-answer.ts";
import { signOf } from "./sign.ts";
import { type ApiRequest, type ApiTarget, parseApiPath, readApiRequest } from "./target.ts";

/** A finished call, for counters and logs. */
export interface AnsweredCall extends Readonly<CallFacts> {
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
  const about: CallFacts = { name: "unknown", bucketId: undefined, fileid: undefined, bytes: 0 };
  return { request, response, requestId, startedAt: performance.now(), about, cors: [] };
}

/** Undefined: the answer was sent. Rejects with the error to answer with. */
export async function serveCall(exchange: CallExchange, parts: RestApiParts): Promise<ApiAnswer | undefined> {
  const begun = begin(exchange, parts);
  if (begun.known !== undefined) exchange.cors = corsHeaders(begun.known.cors, exchange.request.headers.origin);
  parts.clients()?.countRequest(exchange.request);
  return serve(begun);
}

/**
 * Sends the answer, if there is one and none was sent. If the request has not ended, its connection ends behind the
 * answer: wire/lingering-close.ts drops the rest within bounds.
 */
export function finishCall(exchange: CallExchange, answer: ApiAnswer | undefined): AnsweredCall {
  const { request, response, requestId, startedAt, about, cors } = exchange;
  if (answer !== undefined && !response.headersSent) {
    const more = [...cors, "X-Request-Id", requestId, ...connectionAfter(exchange)];
    if (answer.retryAfterSeconds !== undefined) more.push("Retry-After", String(answer.retryAfterSeconds));
    const { status, headers, body } = wholeAnswer(answer, more);
    response.writeHead(status, [...headers]);
    response.end(request.method === "HEAD" ? undefined : body);
  }
  request.resume();
  const code = about.name === "preflight" ? 0 : answer?.code;
  const milliseconds = performance.now() - startedAt;
  return { ...about, request, requestId, code, message: answer?.message, milliseconds };
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
  const bound = sign === undefined ? undefined : tokens.boundFile(sign);
  // The request shows nothing of its client: a pipelined one is read and destroyed by now.
  const signal = clientSignal({ request, response: new NodeResponse(response), client: undefined, signal: undefined });
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
      ...connectionAfter(begun),
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

function connectionAfter({ request }: Pick<CallExchange, "request">): readonly string[] {
  return request.complete ? [] : ["Connection", "close"];
}
