// The one table of everything that can go wrong: code → HTTP status, X-ErrNo, and the text a person may see.
// It does not know how an error is sent; http/ does that.

/**
 * `status`: HTTP status on downloads. `errNo`: the `X-ErrNo` header on downloads (万象优图 numbers, facts of the
 * download URL). A released code keeps its meaning for ever.
 */
interface ErrorRow {
  readonly status: number;
  readonly errNo: number;
  readonly text: string;
}

const ERROR_ROWS = {
  // The request
  url_invalid: { status: 400, errNo: -106, text: "the URL is not valid" },
  host_invalid: { status: 400, errNo: -107, text: "the Host header is not valid" },
  request_invalid: { status: 400, errNo: -103, text: "the request is not valid" },
  request_timeout: { status: 408, errNo: -103, text: "the request head did not arrive in time" },
  headers_too_large: { status: 431, errNo: -103, text: "the request head is too large" },
  url_too_long: { status: 414, errNo: -106, text: "the URL is too long" },
  method_not_allowed: { status: 405, errNo: -103, text: "only GET, HEAD and OPTIONS are served here" },
  domain_unknown: { status: 404, errNo: -104, text: "no bucket is bound to this host" },
  referer_refused: { status: 403, errNo: -108, text: "this Referer is not allowed" },
  precondition_failed: { status: 412, errNo: -103, text: "a condition of the request does not hold" },
  range_unsatisfiable: { status: 416, errNo: -124, text: "the range lies outside the object" },
  style_unknown: { status: 400, errNo: -105, text: "no style of this name" },
  processing_unsupported: { status: 501, errNo: -106, text: "image processing is not supported yet" },
  // Image processing
  processing_invalid: { status: 400, errNo: -106, text: "the processing instruction is not valid" },
  image_not_processable: {
    status: 400,
    errNo: -441,
    text: "the image cannot be decoded, or is of a kind that is not processed",
  },
  image_too_heavy: { status: 400, errNo: -167, text: "the image has too many bytes to be processed" },
  image_too_large: { status: 400, errNo: -447, text: "the image has too many pixels or frames to be processed" },
  output_too_large: { status: 400, errNo: -442, text: "the processed image would be too large" },
  render_timeout: { status: 500, errNo: -901, text: "the image could not be processed in time" },
  render_failed: { status: 500, errNo: -111, text: "the image could not be processed" },
  render_overloaded: { status: 503, errNo: -901, text: "too many images are being processed; try again" },
  // The token of a download (Token 防盗链)
  sign_missing: { status: 403, errNo: -46618, text: "a signature is required: add ?sign=" },
  sign_malformed: { status: 403, errNo: -46618, text: "the signature cannot be read" },
  sign_key_unknown: { status: 403, errNo: -46618, text: "the signature names no enabled key" },
  sign_mismatch: { status: 403, errNo: -46618, text: "the signature is not valid" },
  sign_scope: { status: 403, errNo: -46618, text: "the signature was made for something else" },
  sign_expired: { status: 403, errNo: -46619, text: "the signature has expired" },
  sign_lifetime: { status: 403, errNo: -46618, text: "the signature may live for 92 days at most" },
  sign_spent: { status: 403, errNo: -77, text: "the one-time signature has been used" },
  sign_one_time_unbound: { status: 403, errNo: -76, text: "a one-time signature must name a file" },
  sign_one_time_refused: { status: 403, errNo: -74, text: "one-time signatures are not accepted here" },
  sign_v1_refused: { status: 403, errNo: -46618, text: "signatures of the V1 shape are not accepted here" },
  project_disabled: { status: 403, errNo: -64, text: "the project is disabled" },
  // Copy and delete alone ask for one-time tokens; never sent to a download
  sign_not_one_time: { status: 403, errNo: -46618, text: "a one-time signature is required" },
  // The object
  not_found: { status: 404, errNo: -6101, text: "no such image" },
  deleted: { status: 404, errNo: -6101, text: "the image was deleted" },
  // The origin: no answer
  origin_timeout: { status: 424, errNo: -902, text: "the origin did not answer in time" },
  origin_refused: { status: 424, errNo: -902, text: "the origin refused the connection" },
  origin_reset: { status: 424, errNo: -902, text: "the origin closed the connection before it answered" },
  origin_tls: { status: 424, errNo: -902, text: "the origin's TLS handshake failed" },
  origin_name_unknown: { status: 424, errNo: -902, text: "the origin's name does not exist" },
  origin_dns_timeout: { status: 424, errNo: -902, text: "the origin's name could not be looked up in time" },
  origin_dns_failed: { status: 424, errNo: -902, text: "the origin's name could not be looked up" },
  origin_failing: { status: 424, errNo: -902, text: "the origin keeps failing and is not asked for the moment" },
  origin_busy: { status: 424, errNo: -902, text: "the origin has asked to be left alone for a while" },
  // The origin: an answer that may not be used
  origin_blocked: { status: 424, errNo: -120, text: "the origin's address is not allowed" },
  origin_status: { status: 424, errNo: -120, text: "the origin answered with an error" },
  origin_unexpected: { status: 424, errNo: -120, text: "the origin's answer does not fit the request" },
  origin_head_invalid: { status: 424, errNo: -120, text: "the origin's response head is not valid HTTP" },
  origin_loop: { status: 508, errNo: -120, text: "the request has come back to this server: the origin is a loop" },
  origin_redirect: { status: 424, errNo: -120, text: "the origin's redirect may not be followed" },
  origin_moved: { status: 302, errNo: -156, text: "the image has another address" },
  origin_truncated: { status: 424, errNo: -120, text: "the origin's image was cut short" },
  origin_too_large: { status: 424, errNo: -120, text: "the origin's image is too large" },
  origin_empty: { status: 424, errNo: -120, text: "the origin sent no bytes" },
  origin_not_image: { status: 424, errNo: -120, text: "the origin sent something that is not an image" },
  origin_type_refused: { status: 424, errNo: -120, text: "the origin's image is of a type that is not accepted here" },
  origin_hash_wrong: { status: 424, errNo: -120, text: "the origin's image does not have the digest that it declared" },
  origin_encoded: { status: 424, errNo: -120, text: "the origin sent an encoding that was not asked for" },
  // This server
  client_gone: { status: 499, errNo: -103, text: "the client closed the connection" },
  overloaded: { status: 503, errNo: -902, text: "too many fetches are under way; try again" },
  draining: { status: 503, errNo: -100, text: "the server is shutting down; try again" },
  store_failed: { status: 500, errNo: -101, text: "the store could not be read" },
  store_corrupt: { status: 500, errNo: -101, text: "the stored bytes are damaged" },
  store_full: { status: 500, errNo: -101, text: "the store has no room" },
  internal: { status: 500, errNo: -100, text: "something went wrong in here" },
  // Commands and settings; never sent to a download
  settings_invalid: { status: 500, errNo: -100, text: "the settings have faults" },
  data_locked: { status: 500, errNo: -100, text: "another process uses this data directory" },
} as const satisfies Record<string, ErrorRow>;

/** What to act on. Never act on a message. */
export type ErrorCode = keyof typeof ERROR_ROWS;

/** Status, X-ErrNo and public text of a code. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_ROWS[code];
}

/** Every code, for tables and tests. */
export const ERROR_CODES = Object.keys(ERROR_ROWS) as readonly ErrorCode[];

/**
 * Facts that accompany an error. `originStatus` belongs to `origin_status` and `origin_busy`; `retryAfterSeconds` to 429,
 * 503 and an origin that is left alone; `answerStatus` is sent instead of the code's own status (transparentErrors);
 * `objectBytes`, the size that a range missed, to `range_unsatisfiable`; `location`, an absolute URL, to `origin_moved`,
 * whose `originStatus` is that of the redirect; `parameter`, the faulty one as the manual names it
 * (`imageMogr2/thumbnail`) and therefore fit for a client's eyes, to `processing_invalid`.
 */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly originStatus?: number;
  readonly answerStatus?: number;
  readonly retryAfterSeconds?: number;
  readonly objectBytes?: number;
  readonly parameter?: string;
  readonly location?: string;
}

/**
 * The one error type that is thrown on purpose. `message` is for logs (`Cannot <action> "<thing>": <found>, <wanted>`)
 * and may name internal hosts; a client is only ever shown `errorRow(code).text`.
 */
export class HuiyuanError extends Error {
  readonly code: ErrorCode;
  readonly originStatus: number | undefined;
  readonly answerStatus: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly objectBytes: number | undefined;
  readonly parameter: string | undefined;
  readonly location: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.name = "HuiyuanError";
    this.code = code;
    this.originStatus = details.originStatus;
    this.answerStatus = details.answerStatus;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.objectBytes = details.objectBytes;
    this.parameter = details.parameter;
    this.location = details.location;
  }
}

/** The error as a HuiyuanError; what nobody named becomes `internal`, with the original as its cause. */
export function asHuiyuanError(error: unknown): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HuiyuanError("internal", message, { cause: error });
}
