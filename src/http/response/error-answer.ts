// How a failure reads on the wire: status, X-ErrNo, a request id and a small JSON body; the bucket's own page on a 404.
// Nothing of the error is ever shown but its code's public text, the name of a faulty processing parameter and what it may be.
import { errorRow, type HuiyuanError } from "../../core/errors.ts";
import { type Exchange, sendWhole } from "../request/exchange.ts";
import { siteHeaders } from "./answer-headers.ts";

/** The body of an error answer. `code` is the X-ErrNo. */
export function errorBody(error: HuiyuanError, requestId: string): Buffer {
  const { errNo, text } = errorRow(error.code);
  const { parameter, wanted } = error;
  const named = parameter === undefined ? text : `${text}: ${parameter}`;
  const message = wanted === undefined ? named : `${named}, wanted ${wanted}`;
  return Buffer.from(`${JSON.stringify({ code: errNo, message, requestId })}\n`);
}

/** Answers the exchange, whose head has not been sent, with an error. */
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
  // A path that names no image is a person's, who wants to know what this is.
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
