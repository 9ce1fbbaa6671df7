// Error answers to downloads: status, X-ErrNo, a request id and a small JSON body, or the bucket's own page for a 404.
// A client sees only the public text of the error's code, and the name and range of a faulty processing parameter.
import { errorRow, type HuiyuanError } from "../../../core/errors.ts";
import type { HeaderList } from "../request/download-response.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import { siteHeaders } from "./answer-headers.ts";

/** An answer that is known before its head is sent. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** The body of an error answer. Its `code` is the X-ErrNo. */
export function errorBody({ code, parameter, wanted }: HuiyuanError, requestId: string): Buffer {
  const { errNo, text } = errorRow(code);
  const named = parameter === undefined ? text : `${text}: ${parameter}`;
  const message = wanted === undefined ? named : `${named}, wanted ${wanted}`;
  return Buffer.from(`${JSON.stringify({ code: errNo, message, requestId })}\n`);
}

type Failed = Pick<DownloadExchange, "requestId"> & Partial<Pick<DownloadExchange, "site" | "request" | "isByAccept">>;

/** The answer to a failed download, or to input that is no request. Pure. */
export function errorAnswer(
  error: HuiyuanError,
  { requestId, site, request, isByAccept = false }: Failed,
): WholeAnswer {
  const { status: ownStatus, errNo } = errorRow(error.code);
  const status = error.answerStatus ?? ownStatus;
  const headers = ["Cache-Control", "no-store", "X-ErrNo", String(errNo), "X-Content-Type-Options", "nosniff"];
  if (site !== undefined) {
    headers.push(...siteHeaders(site, request?.headers.origin, isByAccept));
    headers.push("Cache-Status", "huiyuan; detail=error");
  }
  if (error.code === "range_unsatisfiable" && error.objectBytes !== undefined)
    headers.push("Content-Range", `bytes */${error.objectBytes}`);
  if (error.code === "method_not_allowed") headers.push("Allow", "GET, HEAD, OPTIONS");
  if (error.retryAfterSeconds !== undefined) headers.push("Retry-After", String(error.retryAfterSeconds));
  // A request for `/` mostly comes from a person, and this text says what the server is.
  const page = status === 404 && error.code !== "path_missing" ? site?.notFoundPage : undefined;
  const body = page?.body ?? errorBody(error, requestId);
  const mediaType = page?.mediaType ?? "application/json; charset=utf-8";
  const length = String(body.byteLength);
  return {
    status,
    headers: ["Content-Type", mediaType, ...headers, "Content-Length", length, "X-Request-Id", requestId],
    body,
  };
}

/** Ends a failed download: sends its error answer, or cuts the connection if the head has gone out. */
export function failDownload(exchange: DownloadExchange, error: HuiyuanError): void {
  const { request, response } = exchange;
  exchange.outcome = { kind: error.code === "client_gone" ? "other" : "error", tier: "none" };
  exchange.errorCode = error.code;
  // After the head, cut the connection: a clean end would tell the client that the body is whole.
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status, headers, body } = errorAnswer(error, exchange);
  response.writeHead(status, headers);
  response.end(request.method === "HEAD" ? undefined : body);
}
