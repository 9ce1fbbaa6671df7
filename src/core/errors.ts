// The one table of all errors: code → HTTP status, X-ErrNo, REST code, the text that a client sees, and what the code
// means to the program. It does not send errors; http/ does that. It is long, because it is one table.

/**
 * `status`: HTTP status on downloads. `errNo`: the `X-ErrNo` header on downloads (numbers of 万象优图, part of its download
 * contract). `rest`: the code of the REST API, which answers every failure with 400; default REST_DEFAULT. A released
 * code keeps its meaning for ever.
 * `fault`: default `client`. `kind`: absent for a code that stands alone.
 * `retry`: `helps` if the same request may succeed soon; `hopeless` if all other requests would fail too, so that a job
 * of many objects ends; absent if this request fails until its cause is mended.
 * `isPassing`: says nothing about the key, so that it is not remembered for it. This server has no room or is stopping,
 * the request was in a loop, or the origin is refused for now, which may end at any moment.
 */
interface ErrorRow {
  readonly status: number;
  readonly errNo: number;
  readonly text: string;
  readonly rest?: number;
  readonly fault?: Fault;
  readonly kind?: ErrorKind;
  readonly retry?: "helps" | "hopeless";
  readonly isPassing?: true;
}

/**
 * The side that has to change something. `client`: the request, or the image that it names. `store`: the disk or the
 * remote store. `server`: this program, its settings or its machine. `nobody`: a stop that was asked for.
 */
type Fault = "client" | "origin" | "store" | "server" | "nobody";

/**
 * The group of a code, for the parts that act on several codes alike.
 * `connect`, `timeout`: the origin sent no response. A reset before the first byte counts as a failure to connect.
 * `answered`: it sent a response that may not be used. `broken`: it has a new version, but not a whole, sound image.
 * `image`: the image or its instruction cannot be processed.
 * `absent`: there is no such image. `replaced`: it was replaced or is damaged, so that a new look-up finds another one.
 * `disk`: this server's disk or readers were too slow, full or failing, which may end within a minute.
 */
type ErrorKind = "connect" | "timeout" | "answered" | "broken" | "image" | "absent" | "replaced" | "disk";

/** The REST code of rows without one. */
const REST_DEFAULT = -5989;

const HELPS = { retry: "helps" } as const;
const PASSING = { isPassing: true } as const;

const restRow = (rest: number, text: string) => ({ status: 400, errNo: rest, text, rest }) as const;
const imageRow = (status: number, errNo: number, text: string) => ({ status, errNo, text, kind: "image" }) as const;
const renderRow = (errNo: number, text: string) =>
  ({ ...imageRow(500, errNo, text), fault: "server", ...HELPS }) as const;
const busyRow = (errNo: number, text: string) =>
  ({ status: 503, errNo, text, rest: -2000, fault: "server", ...HELPS }) as const;
const originRow = (errNo: number, text: string) =>
  ({ status: 424, errNo, text, rest: -5997, fault: "origin" }) as const;
const storeRow = (text: string) => ({ status: 500, errNo: -101, text, fault: "store" }) as const;
const noResponse = (kind: "connect" | "timeout", text: string) => ({ ...originRow(-902, text), kind }) as const;
const unusable = (kind: "answered" | "broken", text: string) => ({ ...originRow(-120, text), kind }) as const;

const ERROR_ROWS = {
  // The request
  url_invalid: { status: 400, errNo: -106, text: "the URL is not valid", rest: -5999 },
  host_invalid: { status: 400, errNo: -107, text: "the Host header is not valid", rest: -5999 },
  request_invalid: { status: 400, errNo: -103, text: "the request is not valid", rest: -5999 },
  request_timeout: { status: 408, errNo: -103, text: "the request head did not arrive in time" },
  headers_too_large: { status: 431, errNo: -103, text: "the request head is too large", rest: -5999 },
  url_too_long: { status: 414, errNo: -106, text: "the URL is too long", rest: -5999 },
  method_not_allowed: { status: 405, errNo: -103, text: "only GET, HEAD and OPTIONS are served here" },
  domain_unknown: { status: 404, errNo: -104, text: "no bucket is bound to this host" },
  referer_refused: { status: 403, errNo: -108, text: "this Referer is not allowed" },
  precondition_failed: { status: 412, errNo: -103, text: "a precondition of the request is false" },
  range_unsatisfiable: { status: 416, errNo: -124, text: "the range lies outside the object" },
  style_unknown: { status: 400, errNo: -105, text: "no style has this name", kind: "absent" },
  processing_refused: {
    status: 403,
    errNo: -154,
    text: "instructions in the query are not accepted here: only originals and aliases are served",
  },
  original_protected: { status: 403, errNo: -154, text: "the original is protected: only its styles are served" },
  // Image processing
  processing_invalid: imageRow(400, -106, "the processing instruction is not valid"),
  image_not_processable: imageRow(400, -441, "the image cannot be decoded, or its format cannot be processed"),
  image_too_heavy: imageRow(400, -167, "the image has too many bytes to be processed"),
  image_too_large: imageRow(400, -447, "the image has too many pixels or frames to be processed"),
  output_too_large: imageRow(400, -442, "the processed image would be too large"),
  render_timeout: renderRow(-901, "the image could not be processed in time"),
  render_failed: renderRow(-111, "the image could not be processed"),
  render_overloaded: busyRow(-901, "too many images are being processed; try again"),
  original_replaced: {
    ...busyRow(-901, "the image was replaced before it could be read; try again"),
    kind: "replaced",
  },
  // The token of a download (Token 防盗链)
  sign_missing: { status: 403, errNo: -46618, text: "a signature is required: add ?sign=", rest: -81 },
  sign_malformed: { status: 403, errNo: -46618, text: "the signature cannot be read", rest: -5998 },
  sign_key_unknown: { status: 403, errNo: -46618, text: "the signature does not name an enabled key", rest: -79 },
  sign_mismatch: { status: 403, errNo: -46618, text: "the signature is not valid", rest: -97 },
  sign_scope: { status: 403, errNo: -46618, text: "the signature is for another resource", rest: -70 },
  sign_expired: { status: 403, errNo: -46619, text: "the signature has expired", rest: -96 },
  sign_lifetime: { status: 403, errNo: -46618, text: "the signature is valid for more than 92 days", rest: -97 },
  sign_spent: { status: 403, errNo: -77, text: "the one-time signature has been used", rest: -77 },
  sign_unknown: busyRow(-901, "it is not known now whether the one-time signature has been used; try again"),
  sign_one_time_unbound: { status: 403, errNo: -76, text: "a one-time signature must name a file", rest: -76 },
  sign_one_time_refused: { status: 403, errNo: -74, text: "one-time signatures are not accepted here", rest: -74 },
  sign_v1_refused: { status: 403, errNo: -46618, text: "V1 signatures are not accepted here", rest: -97 },
  project_disabled: { status: 403, errNo: -64, text: "the project is disabled", rest: -64 },
  // Only copy and delete require one-time tokens; a download never gets this code
  sign_not_one_time: { status: 403, errNo: -46618, text: "a one-time signature is required", rest: -73 },
  // The REST API. A download never gets these codes: the status is the API's, and errNo equals the REST code
  rest_path_invalid: restRow(-5999, "the path of the API call is not valid"),
  rest_method_refused: restRow(-5996, "the REST API accepts GET, POST and OPTIONS"),
  rest_route_unknown: restRow(-5994, "no such operation of the REST API"),
  appid_unknown: restRow(-82, "no such project"),
  bucket_unknown: restRow(-1894, "no such bucket"),
  operation_unsupported: restRow(-75, "the bucket is for downloads only"),
  form_broken: restRow(-5993, "the multipart form is malformed"),
  form_value_invalid: restRow(-5992, "a value of the form is not valid"),
  file_part_missing: restRow(-5990, "the form has no part FileContent"),
  body_late: restRow(-5989, "the body did not arrive in time"),
  upload_size: restRow(-5995, "the image is empty or too large"),
  upload_not_image: restRow(-1893, "the file is not a whole image, or cannot be decoded"),
  upload_md5_wrong: restRow(-1898, "the image's MD5 is not the declared one"),
  upload_sha1_wrong: restRow(-1887, "the image's SHA-1 is not the declared one"),
  upload_exists: restRow(-1886, "the fileid exists; delete it first"),
  slice_too_large: restRow(-5991, "the slice is too large"),
  slice_too_small: restRow(-283, "the slice is too small"),
  slice_size_differs: restRow(-284, "the slice's size or offset is not the agreed one"),
  slices_too_large: restRow(-285, "the image is too large"),
  slices_hash_wrong: restRow(-5984, "the slices do not form the declared image"),
  upload_id_unknown: restRow(-5983, "no such upload, or it is over 24 hours old"),
  delete_failed: { ...restRow(-190, "the image could not be deleted"), fault: "store" },
  copy_failed: { ...restRow(-199, "the image could not be copied"), fault: "store" },
  // The object
  not_found: { status: 404, errNo: -6101, text: "no such image", rest: -197, kind: "absent" },
  path_missing: {
    status: 404,
    errNo: -6101,
    text: "this is an image mirror: request an image by its path, such as /a.jpg",
  },
  deleted: { status: 404, errNo: -6101, text: "the image was deleted", rest: -197, kind: "absent" },
  // The origin sent no response
  origin_timeout: { ...noResponse("timeout", "the origin did not respond in time"), ...HELPS },
  origin_refused: { ...noResponse("connect", "the origin refused the connection"), ...HELPS },
  origin_reset: { ...noResponse("connect", "the origin closed the connection before it responded"), ...HELPS },
  origin_tls: noResponse("connect", "the origin's TLS handshake failed"),
  origin_name_unknown: noResponse("connect", "the origin's name does not exist"),
  origin_dns_timeout: { ...noResponse("timeout", "the origin's name could not be looked up in time"), ...HELPS },
  origin_dns_failed: { ...noResponse("connect", "the origin's name could not be looked up"), ...HELPS },
  origin_failing: {
    ...originRow(-902, "the origin keeps failing; no requests are sent to it for now"),
    ...HELPS,
    ...PASSING,
  },
  origin_busy: {
    ...originRow(-902, "the origin has asked for a pause; no requests are sent to it for now"),
    ...HELPS,
    ...PASSING,
  },
  // The origin sent a response that may not be used
  origin_blocked: originRow(-120, "the origin's address is not allowed"),
  origin_status: unusable("answered", "the origin responded with an error"),
  origin_unexpected: unusable("answered", "the origin's response does not fit the request"),
  origin_head_invalid: unusable("answered", "the origin's response head is not valid HTTP"),
  origin_loop: {
    ...originRow(-120, "the request came back to this server: its origins form a loop"),
    status: 508,
    ...PASSING,
  },
  origin_redirect: unusable("answered", "the origin's redirect may not be followed"),
  origin_moved: {
    status: 302,
    errNo: -156,
    text: "the image has moved to another address",
    fault: "origin",
    kind: "answered",
  },
  origin_truncated: { ...unusable("broken", "the origin's image is truncated"), ...HELPS },
  origin_too_large: unusable("broken", "the origin's image is too large"),
  origin_empty: unusable("broken", "the origin sent no bytes"),
  origin_not_image: unusable("broken", "the origin sent data that is not an image"),
  origin_type_refused: unusable("broken", "the origin's image has a type that is not accepted here"),
  origin_hash_wrong: unusable("broken", "the origin's image does not match its declared digest"),
  origin_encoded: unusable("broken", "the content encoding of the origin's image cannot be decoded"),
  // This server
  rate_limited: {
    status: 429,
    errNo: -29214,
    text: "too many requests of this client; try again after the time in Retry-After",
    rest: -71,
    ...HELPS,
  },
  client_gone: { status: 499, errNo: -103, text: "the client closed the connection" },
  overloaded: { ...busyRow(-902, "too many fetches are in progress; try again"), ...PASSING },
  not_kept: {
    ...busyRow(-902, "the disk has no room for the image, and neither has memory; try again"),
    kind: "disk",
    ...PASSING,
  },
  draining: { ...busyRow(-100, "the server is shutting down; try again"), fault: "nobody", ...PASSING },
  store_failed: { ...storeRow("the store could not be read"), kind: "disk", ...HELPS, ...PASSING },
  store_corrupt: { ...storeRow("the stored bytes are damaged"), rest: -197, kind: "replaced" },
  store_full: { ...storeRow("the store has no room"), kind: "disk", retry: "hopeless" },
  internal: { status: 500, errNo: -100, text: "internal server error", fault: "server" },
  // Commands and settings; a download never gets these codes
  settings_invalid: { status: 500, errNo: -100, text: "the settings have faults", fault: "server", retry: "hopeless" },
  data_locked: { status: 500, errNo: -100, text: "another process uses this data directory", fault: "server" },
} as const satisfies Record<string, ErrorRow>;

/** Callers act on the code, never on the message. */
export type ErrorCode = keyof typeof ERROR_ROWS;

/** Returns the columns of a code. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_ROWS[code];
}

/** Returns the side that has to change something. */
export function faultOf(code: ErrorCode): Fault {
  return errorRow(code).fault ?? "client";
}

/**
 * Whether an operator has to look into it: it is an error in the log, and its message is for the log alone. A lack of
 * room (503) is not one: it passes by itself.
 */
export function isServerFailure({ code }: HuiyuanError): boolean {
  const fault = faultOf(code);
  return (fault === "store" || fault === "server") && errorRow(code).status !== 503;
}

/** Returns the kind of a thrown error; undefined for an unknown error, and for a code that stands alone. */
export function errorKind(error: unknown): ErrorKind | undefined {
  return error instanceof HuiyuanError ? errorRow(error.code).kind : undefined;
}

/** Returns the REST API's number for a code, and the text that its documentation gives to that number. */
export function restError(code: ErrorCode): { readonly code: number; readonly message: string } {
  const { rest = REST_DEFAULT, text } = errorRow(code);
  return { code: rest, message: REST_MESSAGES[rest] ?? text };
}

const REST_MESSAGES: Readonly<Record<number, string>> = {
  [-5999]: "参数错误",
  [-5998]: "签名格式错误",
  [-5997]: "后端网络错误",
  [-5996]: "HTTP请求方法错误",
  [-5995]: "文件大小错误",
  [-5994]: "url参数解析不匹配",
  [-5993]: "multipart/formdata参数错误",
  [-5992]: "请求参数错误",
  [-5991]: "分片过大",
  [-5990]: "找不到filecontent",
  [-5989]: "上传失败",
  [-5984]: "sha1不匹配",
  [-5983]: "错误的session",
  [-1898]: "校验md5失败",
  [-1894]: "业务不存在,请在Qcloud上创建",
  [-1893]: "图片数据异常，压缩库无法处理",
  [-1887]: "校验sha1失败",
  [-1886]: "图片fileid已经存在",
  [-199]: "文件移动失败",
  [-197]: "查无此文件",
  [-190]: "文件删除失败",
  [-97]: "ERROR_PROXY_AUTH_FAILED",
  [-96]: "签名过期",
  [-82]: "不存在此appid",
  [-81]: "签名为空",
  [-79]: "secret id不存在",
  [-77]: "单次性签名已不可用",
  [-76]: "单次签名没有url",
  [-75]: "不支持此操作",
  [-74]: "多次签名-过期时间为0",
  [-73]: "单次签名-过期时间不为0",
  [-70]: "appid/userid 与签名不匹配",
  [-64]: "该业务已经被屏蔽",
};

/** Every code, for tables and tests. */
export const ERROR_CODES = Object.keys(ERROR_ROWS) as readonly ErrorCode[];

/**
 * Facts that accompany an error.
 * `originStatus`: with `origin_status` and `origin_busy`; with `origin_moved` it is the status of the redirect.
 * `answerStatus`: sent instead of the code's own status (transparentErrors).
 * `retryAfterSeconds`: with 429, 503 and an origin that is not requested for a while.
 * `objectBytes`: with `range_unsatisfiable`, the size of the object.
 * `parameter`: with `processing_invalid`, the faulty parameter as the manual names it (`imageMogr2/thumbnail`), so a
 * client may see it.
 * `wanted`: with `processing_invalid`, the allowed values in words of our own (`an integer from 1 to 100`).
 * `location`: with `origin_moved`, an absolute URL.
 */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly originStatus?: number;
  readonly answerStatus?: number;
  readonly retryAfterSeconds?: number;
  readonly objectBytes?: number;
  readonly parameter?: string | undefined;
  readonly wanted?: string | undefined;
  readonly location?: string;
}

/**
 * The one error type that is thrown on purpose. `message` is for logs (`Cannot <action> "<thing>": <found>, <wanted>`)
 * and may name internal hosts. A client only ever sees `errorRow(code).text`.
 */
export class HuiyuanError extends Error {
  readonly code: ErrorCode;
  readonly originStatus: number | undefined;
  readonly answerStatus: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly objectBytes: number | undefined;
  readonly parameter: string | undefined;
  readonly wanted: string | undefined;
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
    this.wanted = details.wanted;
    this.location = details.location;
  }
}

/** Returns the error as a HuiyuanError. An unknown error becomes `internal`, with the original as its cause. */
export function asHuiyuanError(error: unknown): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HuiyuanError("internal", message, { cause: error });
}

/**
 * The upload is stored, but the business server has not confirmed its notice. Not in any code range of the original.
 */
export const CALLBACK_FAILED = -5979;
