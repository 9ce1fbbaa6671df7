// Routes requests of the download port: paths of the REST API go to the API, all others to downloads. A download needs
// no request body, so the time for one is limited here.
import type { IncomingMessage, ServerResponse } from "node:http";
import { awaitsContinue, type DownloadRequest } from "../request/exchange.ts";
import { type DownloadResponse, nodeResponse } from "../response/response.ts";
import type { RestApi } from "../rest/rest.ts";

export interface FrontOptions {
  readonly restApi: RestApi;
  readonly download: (request: DownloadRequest, response: DownloadResponse) => void;
}

/** The time limit for the unused body of a download request. Milliseconds. */
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

/** Sends "100 Continue" for the methods of downloads. Other methods are refused, so their body is not invited. */
function continueOrNot({ method = "" }: IncomingMessage, response: ServerResponse): void {
  if (BODILESS.has(method)) response.writeContinue();
  // The client may send its body or not, so the start of its next request is unknown.
  else response.shouldKeepAlive = false;
}

function limitBody(request: IncomingMessage): void {
  // The body was read while the request waited for its turn, and `close` has been emitted.
  if (request.complete) return;
  const timer = setTimeout(() => request.complete || request.socket.destroy(), BODY_MS);
  request.once("close", () => clearTimeout(timer));
}
