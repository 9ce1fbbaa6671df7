// The error body of the admin API. Operators see the full message, unlike clients of the download port.
import { errorRow, type HuiyuanError } from "../../core/errors.ts";

/** Internal errors show only their public text; the log has the details under the request id. */
export function problemOf(error: HuiyuanError, requestId: string): object {
  const { errNo, status, text } = errorRow(error.code);
  return { code: errNo, message: status < 500 ? error.message : text, requestId };
}
