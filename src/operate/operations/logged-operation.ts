// The CSV format of the operation log (操作日志). The columns and their order are those of the documented log, followed
// by our own. Pure.
import { OPERATION_NUMBERS } from "../admin/operation.ts";
import type { LogEntry } from "./contract.ts";

/** Without the line end. */
export const CSV_HEADER =
  "reporttime,time,bucketid,appid,fileid,url,op,realclientip,errno,errmsg,operation,bytes,useragent,requestid";

/** One line without its line end, quoted by RFC 4180. Values are exact; formulas are not defused for spreadsheets. */
export function csvLine(entry: LogEntry): string {
  const { operation } = entry;
  const [appid = "", bucket = ""] = entry.bucket.split("/");
  const values = [
    entry.reportTime,
    entry.time,
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
