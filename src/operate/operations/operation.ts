// One entry of the operation log (操作日志) and its CSV format. The columns and their order are those of the documented
// log, followed by our own. operation-log.ts stores entries. Pure.

/** Operations with their numbers in the documented log; 2 is not documented, 5 and above are our own. */
export const OPERATION_NUMBERS = {
  ...{ upload: 1, copy: 2, query: 3, delete: 4, undelete: 5, purge: 6 },
  ...{ login: 7, logout: 8, change: 9 },
} as const;
export type OperationName = keyof typeof OPERATION_NUMBERS;
export const OPERATION_NAMES = Object.keys(OPERATION_NUMBERS) as readonly OperationName[];

export interface Operation {
  /** End of the operation, Unix milliseconds. */
  readonly at: number;
  /** `<appid>/<bucket>`; empty for logins and for changes that concern no image. */
  readonly bucketId: string;
  readonly operation: OperationName;
  /** Empty if the operation failed before its fileid was known. */
  readonly fileid: string;
  /** The requested URL without its signature. */
  readonly url: string;
  readonly client: string;
  readonly userAgent: string;
  /** Code of the answer; 0 is success. */
  readonly code: number;
  readonly message: string;
  /** Size of the image that an upload has stored, else 0. */
  readonly bytes: number;
  readonly requestId: string;
}

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
