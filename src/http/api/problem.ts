// What callers of the admin API are told of a failure. They are operators, who learn more than the public text.
import { errorRow, type HuiyuanError } from "../../core/errors.ts";

/** Of faults in here only where to look: the log has the request's id. */
export function problemOf(error: HuiyuanError, requestId: string): object {
  const { errNo, status, text } = errorRow(error.code);
  return { code: errNo, message: status < 500 ? error.message : text, requestId };
}
