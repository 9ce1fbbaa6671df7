// Every route of the download port, as a Hono application. Its onError is the only place where an error becomes an
// answer. Handlers write to node's response.
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono } from "hono";
import { asHuiyuanError, type HuiyuanError, isServerFailure } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createFailureLog } from "../mirror/failure-log.ts";
import { beginDownload, finishDownload } from "./download/download.ts";
import type { DownloadContext } from "./download/download-context.ts";
import { answerHealth, isHealth, isPathOf } from "./health.ts";
import type { DownloadResponse } from "./request/download-response.ts";
import {
  awaitsContinue,
  beginExchange,
  type DownloadExchange,
  type DownloadRequest,
  nodeResponse,
} from "./request/exchange.ts";
import type { Sites } from "./request/site.ts";
import { failDownload } from "./response/error-answer.ts";
import type { CallExchange, RestApiParts } from "./rest/call.ts";
import { type AnsweredCall, beginCall, finishCall, serveCall } from "./rest/rest.ts";
import { failure } from "./rest/rest-answer.ts";
import { isCall } from "./rest/target.ts";

export interface DownloadAppOptions {
  /** The current snapshot; a reload replaces it. */
  readonly sites: () => Sites;
  readonly restApi: RestApiParts;
  /** The path of health checks, such as `/.well-known/huiyuan`; empty: there are none. */
  readonly healthPath: () => string;
  /** Whether the server may be sent traffic. */
  readonly readiness: () => Promise<{ readonly isReady: boolean }>;
  readonly nextRequestId: () => string;
  readonly log: Log;
  /** Called once for each download, after its answer was decided and its head written. */
  readonly answered: (exchange: DownloadExchange) => void;
  /** Called once for each hit that the fast path has answered. */
  readonly hit: () => void;
  /** Called once for each call of the REST API, after its answer was sent. */
  readonly called: (call: AnsweredCall) => void;
}

export interface DownloadApp {
  /** The `request` listener of the download port. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /** Answers hits that need no waiting, by the handler's first function. All else goes through the application. */
  readonly fastPath: {
    /** Whether `listener` serves a request target. */
    takes(url: string): boolean;
    listener(request: DownloadRequest, response: DownloadResponse): void;
  };
}

/**
 * `incoming` and `outgoing` are node's. The running download or call is kept for onError. A request of the fast path
 * has its exchange only, with the admitted download or the error of its admission.
 */
interface Bindings extends HttpBindings {
  exchange?: DownloadExchange | undefined;
  readonly context?: DownloadContext | undefined;
  readonly refusal?: HuiyuanError | undefined;
  call?: CallExchange | undefined;
}

/**
 * The mean delay of a refusal because of a rate: a client that repeats it at once would cost more than its renders. The
 * delay is random, so that the connections of one client do not come together. Milliseconds.
 */
const REFUSAL_MS = 1_000;
/** The time limit for a body that no handler needs. Milliseconds. */
const BODY_MS = 30_000;
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** Hono reads the method only, and every route here takes all methods: handlers read the request itself. */
const NO_URL = { method: "GET", url: "http://localhost/" } as Request;

export function createDownloadApp(options: DownloadAppOptions): DownloadApp {
  const { sites, restApi, healthPath, readiness, nextRequestId, log, answered, called, hit } = options;
  // An unavailable store fails many requests with the same error, so equal errors are logged once in a while.
  const failures = createFailureLog(log, {}, "requests");
  const callFailures = createFailureLog(log, {}, "API calls");

  // One handler for each path: with several, Hono would compose them, which costs as much as a hit.
  const app = new Hono<{ Bindings: Bindings }>({ getPath: routeOf });
  // GET and HEAD of `server.healthPath`.
  app.all("/health", async ({ env: { incoming, outgoing } }) => {
    limitUnusedBody(incoming, outgoing);
    const requestId = nextRequestId();
    const { isReady } = await readiness().catch(() => ({ isReady: false }));
    answerHealth(incoming, outgoing, { isReady, requestId });
    return RESPONSE_ALREADY_SENT;
  });
  // `/photos/v1/…` and `/photos/v2/…` on every Host that is no configured domain.
  app.all("/photos/*", async ({ env }) => {
    const call = beginCall(env.incoming, env.outgoing, nextRequestId());
    env.call = call;
    const finished = finishCall(call, await serveCall(call, restApi));
    // From here on an error cannot become an answer.
    env.call = undefined;
    called(finished);
    return RESPONSE_ALREADY_SENT;
  });
  // All other requests.
  app.all("/download", async ({ env }) => {
    if (env.refusal !== undefined) throw env.refusal;
    env.exchange ??= beginNodeExchange(env);
    const { exchange } = env;
    const context = env.context ?? beginDownload(exchange, sites());
    if (context !== undefined) await finishDownload(context);
    env.exchange = undefined;
    answered(exchange);
    return RESPONSE_ALREADY_SENT;
  });
  app.onError(async (thrown, { env }) => {
    const error = asHuiyuanError(thrown);
    if (error.code === "rate_limited") await delay(REFUSAL_MS * (0.5 + Math.random()));
    if (env.call !== undefined) {
      const { requestId } = env.call;
      if (isServerFailure(error)) callFailures.error(error.code, { requestId, err: error }, "an API call failed");
      called(finishCall(env.call, error.code === "client_gone" ? undefined : failure(error)));
    } else if (env.exchange !== undefined) {
      logFailure(env.exchange, error);
      failDownload(env.exchange, error);
      answered(env.exchange);
    } else throw error; // serve() cuts the connection.
    return RESPONSE_ALREADY_SENT;
  });

  /**
   * The route of a request. Download keys are no part of it: our own parser reads the raw target later, and its errors
   * reach onError.
   */
  function routeOf(_request: Request, { env = {} }: { readonly env?: object | undefined } = {}): string {
    const { incoming, exchange } = env as Bindings; // serve() gives them
    if (exchange !== undefined) return "/download";
    if (isCall(incoming, restApi.projects().isDomain)) return "/photos/";
    return isHealth(incoming, healthPath()) ? "/health" : "/download";
  }

  function beginNodeExchange({ incoming, outgoing }: Bindings): DownloadExchange {
    limitUnusedBody(incoming, outgoing);
    return beginExchange(incoming, nodeResponse(outgoing), nextRequestId());
  }

  function logFailure({ response, requestId }: DownloadExchange, error: HuiyuanError): void {
    const about = { requestId, err: error };
    if (isServerFailure(error)) failures.error(error.code, about, "a request failed");
    else if (response.headersSent && error.code !== "client_gone")
      failures.warn(error.code, about, "the connection of an unfinished answer was cut");
  }

  async function serve(bindings: Bindings, response: { destroy(): void }): Promise<void> {
    try {
      await app.fetch(NO_URL, bindings);
    } catch (error) {
      // A bug of ours while answering must not end the program.
      log.error({ err: asHuiyuanError(error) }, "cannot answer a request");
      response.destroy();
    }
  }

  return {
    listener: (incoming, outgoing) => void serve({ incoming, outgoing }, outgoing),
    fastPath: {
      takes: (url) => !url.startsWith("/photos/") && !isPathOf(url, healthPath()),
      listener(request, response) {
        const exchange = beginExchange(request, response, nextRequestId());
        let context: DownloadContext | undefined;
        let refusal: HuiyuanError | undefined;
        try {
          context = beginDownload(exchange, sites());
        } catch (error) {
          refusal = asHuiyuanError(error);
        }
        if (context === undefined && refusal === undefined) {
          hit();
          answered(exchange);
        }
        // The route of a begun download needs nothing of node's.
        else void serve({ exchange, context, refusal } as Bindings, response);
      },
    },
  };
}

/** Sends "100 Continue" where the client waits for it, and ends the connection if the body takes too long. */
export function limitUnusedBody(request: IncomingMessage, response: ServerResponse): void {
  const { headers, method = "" } = request;
  if (awaitsContinue(request)) {
    // Other methods are refused, so their body is not invited. The client may send it or not, so the start of its next
    // request is unknown.
    if (BODILESS.has(method)) response.writeContinue();
    else response.shouldKeepAlive = false;
  }
  if (headers["transfer-encoding"] === undefined && headers["content-length"] === undefined) return;
  // The body was read while the request waited for its turn, and `close` has been emitted.
  if (request.complete) return;
  const timer = setTimeout(() => request.complete || request.socket.destroy(), BODY_MS);
  request.once("close", () => clearTimeout(timer));
}
