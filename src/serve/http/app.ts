// Every route of the download port, as a Hono application. Each kind of request has one place where an error becomes
// its answer. Handlers write to node's response.
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
  NodeResponse,
} from "./request/exchange.ts";
import type { Sites } from "./request/site.ts";
import { failDownload } from "./response/error-answer.ts";
import type { CallExchange, RestApiParts } from "./rest/call.ts";
import { type AnsweredCall, beginCall, finishCall, serveCall } from "./rest/rest.ts";
import { type ApiAnswer, failure } from "./rest/rest-answer.ts";
import { isCall } from "./rest/target.ts";

export interface DownloadAppOptions {
  /** `sites`: the snapshot in force; a reload replaces it. */
  readonly registry: { readonly sites: Sites };
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
  /** Serves downloads whose requests were read from the socket, by the functions of the application's route. */
  readonly fastPath: {
    /** Whether `listener` serves a request target. */
    takes(url: string): boolean;
    listener(request: DownloadRequest, response: DownloadResponse): void;
  };
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
  const { registry, restApi, healthPath, readiness, nextRequestId, log, answered, called, hit } = options;
  // An unavailable store fails many requests with the same error, so equal errors are logged once in a while.
  const failures = createFailureLog(log, {}, "requests");
  const callFailures = createFailureLog(log, {}, "API calls");

  // One handler for each path: with several, Hono would compose them, which costs as much as a hit.
  const app = new Hono<{ Bindings: HttpBindings }>({ getPath: routeOf });
  // GET and HEAD of `server.healthPath`.
  app.all("/health", async ({ env: { incoming, outgoing } }) => {
    limitUnusedBody(incoming, outgoing);
    const requestId = nextRequestId();
    const { isReady } = await readiness().catch(() => ({ isReady: false }));
    answerHealth(incoming, outgoing, { isReady, requestId });
    return RESPONSE_ALREADY_SENT;
  });
  // `/photos/v1/…` and `/photos/v2/…` on every Host that is no configured domain.
  app.all("/photos/*", async ({ env: { incoming, outgoing } }) => {
    const call = beginCall(incoming, outgoing, nextRequestId());
    const answer = await serveCall(call, restApi).catch((error) => refuseCall(call, asHuiyuanError(error)));
    called(finishCall(call, answer));
    return RESPONSE_ALREADY_SENT;
  });
  // All other requests.
  app.all("/download", async ({ env: { incoming, outgoing } }) => {
    limitUnusedBody(incoming, outgoing);
    await download(beginExchange(incoming, new NodeResponse(outgoing), nextRequestId()));
    return RESPONSE_ALREADY_SENT;
  });
  // A bug of ours while answering: `listener` cuts the connection.
  app.onError((error) => {
    throw error;
  });

  /**
   * The route of a request. Download keys are no part of it: our own parser reads the raw target later, and its errors
   * are answered as those of a download.
   */
  function routeOf(_request: Request, { env }: { readonly env?: object | undefined } = {}): string {
    const { incoming } = env as HttpBindings; // `listener` gives them
    if (isCall(incoming, restApi.projects().isDomain)) return "/photos/";
    return isHealth(incoming, healthPath()) ? "/health" : "/download";
  }

  async function refuseCall({ requestId }: CallExchange, error: HuiyuanError): Promise<ApiAnswer | undefined> {
    await delayRefusal(error);
    if (isServerFailure(error)) callFailures.error(error.code, { requestId, err: error }, "an API call failed");
    return error.code === "client_gone" ? undefined : failure(error);
  }

  /** Answers a hit in this turn of the event loop; `onHit` is called then. */
  function download(exchange: DownloadExchange, onHit?: () => void): Promise<void> | undefined {
    let context: DownloadContext | undefined;
    try {
      context = beginDownload(exchange, registry.sites);
    } catch (error) {
      return fail(exchange, error);
    }
    if (context !== undefined) return finish(context);
    onHit?.();
    answered(exchange);
    return undefined;
  }

  async function finish(context: DownloadContext): Promise<void> {
    try {
      await finishDownload(context);
    } catch (error) {
      return fail(context.exchange, error);
    }
    answered(context.exchange);
  }

  async function fail(exchange: DownloadExchange, thrown: unknown): Promise<void> {
    const error = asHuiyuanError(thrown);
    await delayRefusal(error);
    const about = { requestId: exchange.requestId, err: error };
    if (isServerFailure(error)) failures.error(error.code, about, "a request failed");
    else if (exchange.response.headersSent && error.code !== "client_gone")
      failures.warn(error.code, about, "the connection of an unfinished answer was cut");
    failDownload(exchange, error);
    answered(exchange);
  }

  /** A bug of ours while answering must not end the program. */
  const cut = (response: { destroy(): void }) => (error: unknown) => {
    log.error({ err: asHuiyuanError(error) }, "cannot answer a request");
    response.destroy();
  };

  return {
    async listener(incoming, outgoing) {
      try {
        await app.fetch(NO_URL, { incoming, outgoing });
      } catch (error) {
        cut(outgoing)(error);
      }
    },
    fastPath: {
      takes: (url) => !url.startsWith("/photos/") && !isPathOf(url, healthPath()),
      listener: (request, response) =>
        void download(beginExchange(request, response, nextRequestId()), hit)?.catch(cut(response)),
    },
  };
}

async function delayRefusal({ code }: HuiyuanError): Promise<void> {
  if (code === "rate_limited") await delay(REFUSAL_MS * (0.5 + Math.random()));
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
