// An entry that is in the operation log (操作日志), and its CSV format. The columns and their order are those of the
// documented log, followed by our own. operation-log.ts stores entries. Pure.
import { OPERATION_NUMBERS, type Operation } from "../admin/operation.ts";

/** An operation with its place in the log. */
export interface LoggedOperation extends Operation {
  /** Ascending in the order of the log. */
  readonly id: number;
  /** Time of the write to the log, Unix milliseconds. */
  readonly reportedAt: number;
}

/** Without the line end. */
export const CSV_HEADER =
  "reporttime,time,bucketid,appid,fileid,url,op,realclientip,errno,errmsg,operation,bytes,useragent,requestid";

/** One line without its line end, quoted by RFC 4180. Values are exact; formulas are not defused for spreadsheets. */
export function csvLine(entry: LoggedOperation): string {
  const { bucketId, operation } = entry;
  const [appid = "", bucket = ""] = bucketId.split("/");
  const values = [
    new Date(entry.reportedAt).toISOString(),
    new Date(entry.at).toISOString(),
    bucket,
    appid,
    entry.fileid,
    entry.url,
    OPERATION_NUMBERS[operation],
    entry.client,
    entry.code,
    entry.message,
    operation,
    entry.bytes,
    entry.userAgent,
    entry.requestId,
  ];
  return values.map(String).map(quoted).join(",");
}

function quoted(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** A URL or request-target without the `sign` parameters of its query. */
export function withoutSign(url: string): string {
  const queryStart = url.indexOf("?");
  if (queryStart === -1) return url;
  const rest = url
    .slice(queryStart + 1)
    .split("&")
    .filter((pair) => !/^sign(=|$)/i.test(pair))
    .join("&");
  return rest === "" ? url.slice(0, queryStart) : `${url.slice(0, queryStart)}?${rest}`;
}
