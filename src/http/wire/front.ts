// Whose a request of the download port is: the REST API's, by its path, or the downloads'. Those have no use for a body, so
// one that comes along is bounded here.
import type { IncomingMessage, ServerResponse } from "node:http";
import { awaitsContinue, type DownloadRequest } from "../request/exchange.ts";
import { type DownloadResponse, nodeResponse } from "../response/response.ts";
import type { RestApi } from "../rest/rest.ts";

export interface FrontOptions {
  readonly restApi: RestApi;
  readonly download: (request: DownloadRequest, response: DownloadResponse) => void;
}

/** For the body of a request that needs none. */
const BODY_MS = 30_000;
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export function createFront({ restApi, download }: FrontOptions) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (restApi.answer(request, response)) return;
    if (awaitsContinue(request)) continueOrNot(request, response);
    const { headers } = request;
    if (headers["transfer-encoding"] !== undefined || headers["content-length"] !== undefined) limitBody(request);
    download(request, nodeResponse(response));
  };
}

/** Downloads have no method that takes a body: none is invited in order to be refused. */
function continueOrNot({ method = "" }: IncomingMessage, response: ServerResponse): void {
  if (BODILESS.has(method)) response.writeContinue();
  // It may send its body or not now: where the next request begins cannot be known.
  else response.shouldKeepAlive = false;
}

function limitBody(request: IncomingMessage): void {
  // It was read while it waited for its turn, and will not close again.
  if (request.complete) return;
  const timer = setTimeout(() => request.complete || request.socket.destroy(), BODY_MS);
  request.once("close", () => clearTimeout(timer));
}
