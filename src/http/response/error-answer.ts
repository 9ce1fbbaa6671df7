// Sends error responses: status, X-ErrNo, a request id and a small JSON body, or the bucket's own page for a 404. Of
// the error a client sees only its code's public text, and the name and range of a faulty processing parameter.
import { errorRow, type HuiyuanError } from "../../core/errors.ts";
import { type Exchange, sendWhole } from "../request/exchange.ts";
import { siteHeaders } from "./answer-headers.ts";

/** The body of an error response. Its `code` is the X-ErrNo. */
export function errorBody(error: HuiyuanError, requestId: string): Buffer {
  const { errNo, text } = errorRow(error.code);
  const { parameter, wanted } = error;
  const named = parameter === undefined ? text : `${text}: ${parameter}`;
  const message = wanted === undefined ? named : `${named}, wanted ${wanted}`;
  return Buffer.from(`${JSON.stringify({ code: errNo, message, requestId })}\n`);
}

/** Sends an error response. No head may have been sent. */
export function sendError(exchange: Exchange, error: HuiyuanError): void {
  const { site, request, isByAccept } = exchange;
  const { status: ownStatus, errNo } = errorRow(error.code);
  const status = error.answerStatus ?? ownStatus;
  const headers = ["Cache-Control", "no-store", "X-ErrNo", String(errNo), "X-Content-Type-Options", "nosniff"];
  if (site !== undefined) {
    headers.push(...siteHeaders(site, request.headers.origin, isByAccept));
    headers.push("Cache-Status", "huiyuan; detail=error");
  }
  if (error.code === "range_unsatisfiable" && error.objectBytes !== undefined)
    headers.push("Content-Range", `bytes */${error.objectBytes}`);
  if (error.code === "method_not_allowed") headers.push("Allow", "GET, HEAD, OPTIONS");
  if (error.retryAfterSeconds !== undefined) headers.push("Retry-After", String(error.retryAfterSeconds));
  // A request for `/` mostly comes from a person, and this text says what the server is.
  const page = status === 404 && error.code !== "path_missing" ? site?.notFoundPage : undefined;
  if (page !== undefined) sendWhole(exchange, status, ["Content-Type", page.mediaType, ...headers], page.body);
  else
    sendWhole(
      exchange,
      status,
      ["Content-Type", "application/json; charset=utf-8", ...headers],
      errorBody(error, exchange.requestId),
    );
}
