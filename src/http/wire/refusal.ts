// Refuses requests before a listener sees them: which ones, by which code, and in which words. Pure; server.ts writes the refusal.
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { type ErrorCode, errorRow, HuiyuanError } from "../../core/errors.ts";
import { errorBody } from "../response/error-answer.ts";
import { bodyOf, failure } from "../rest/answer.ts";

/**
 * The answer to what never became a request for the listener, behind which the connection ends. `isCall`: whoever sent it reads
 * answers of the REST API. `isHead`: the answer goes out without its body.
 */
export function refusal(
  code: ErrorCode,
  { requestId, isCall, isHead }: { readonly requestId: string; readonly isCall: boolean; readonly isHead: boolean },
): string {
  const { status: ownStatus, errNo, text } = errorRow(code);
  const error = new HuiyuanError(code, text);
  const [status, body] = isCall ? [400, bodyOf(failure(error))] : [ownStatus, errorBody(error, requestId)];
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Date: ${new Date().toUTCString()}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${body.byteLength}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    `X-ErrNo: ${errNo}`,
    `X-Request-Id: ${requestId}`,
    "Connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${isHead ? "" : body.toString()}`;
}

export function headOf({ method, url }: IncomingMessage): string {
  return `${method} ${url} `;
}

/** The parser also takes HTTP/0.9 and HTTP/2.0 on the line of an HTTP/1 request. */
export function isHttp1({ httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor === 1;
}

/** Blanks and tabs alone may stand around it (RFC 9110 §5.6.3): `trim` would take other characters too. */
const CHUNKED = /^[\t ]*chunked[\t ]*$/i;

/**
 * Any transfer coding but plain `chunked`, and any in HTTP/1.0: where the body ends would be a matter of opinion. The parser lets such
 * a request through and gives up behind it, when it may have been answered.
 */
export function isForeignCoding({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers["transfer-encoding"];
  return coding !== undefined && (httpVersion !== "1.1" || !CHUNKED.test(coding));
}

export function parserFault(code: string | undefined): ErrorCode {
  if (code === "HPE_HEADER_OVERFLOW") return "headers_too_large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request_timeout";
  return "request_invalid";
}
