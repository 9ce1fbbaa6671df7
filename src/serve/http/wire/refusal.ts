// Decides which requests are refused before a listener sees them, and which end their connection. Writes refusals.
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { type ErrorCode, errorRow, HuiyuanError } from "../../../core/errors.ts";
import { headerLines } from "../request/download-response.ts";
import { errorAnswer } from "../response/error-answer.ts";
import { failure, wholeAnswer } from "../rest/rest-answer.ts";

/**
 * The response to input that is no request for the listener; the connection ends after it. `isCall`: the client reads
 * responses of the REST API. `isHead`: the response has no body.
 */
export function refusal(
  code: ErrorCode,
  { requestId, isCall, isHead }: { readonly requestId: string; readonly isCall: boolean; readonly isHead: boolean },
): string {
  const { errNo, text } = errorRow(code);
  const error = new HuiyuanError(code, text);
  const { status, headers, body } = isCall
    ? wholeAnswer(failure(error), ["X-ErrNo", String(errNo), "X-Request-Id", requestId])
    : errorAnswer(error, { requestId });
  const date = new Date().toUTCString();
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${date}\r\n${headerLines(headers)}`;
  return `${head}Connection: close\r\n\r\n${isHead ? "" : body.toString()}`;
}

export function headOf({ method, url }: IncomingMessage): string {
  return `${method} ${url} `;
}

/** The parser also accepts HTTP/0.9 and HTTP/2.0 in a request line. */
export function isHttp1({ httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor === 1;
}

/** Only spaces and tabs may surround the value (RFC 9110 §5.6.3); `trim` would remove other characters too. */
const CHUNKED = /^[\t ]*chunked[\t ]*$/i;

/**
 * True for every transfer coding except plain `chunked`, and for any in HTTP/1.0: the end of such a body is ambiguous.
 * The parser emits such a request and fails only after it, when the response may have gone out.
 */
export function isForeignCoding({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers["transfer-encoding"];
  return coding !== undefined && (httpVersion !== "1.1" || !CHUNKED.test(coding));
}

/**
 * Whether the response ends the connection. `close` in `Connection` wins (RFC 9112 §9.3); node's parser sees only the
 * first word in HTTP/1.0. A chunked body does too: request-framing.ts does not know where it ends.
 */
export function isLastRequest({ headers }: IncomingMessage): boolean {
  const { connection = "", "transfer-encoding": coding } = headers;
  return coding !== undefined || /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(connection);
}
