// The words of the operation log (操作日志): what is written down of one operation on a bucket, and how it looks as CSV.
// Columns and their order are the documented ones, further ones of our own behind them. Pure.

/** With the number that the documented log has for it; 2 is not documented, 5 and 6 are our own. */
export const OPERATION_NUMBERS = { upload: 1, copy: 2, query: 3, delete: 4, undelete: 5, purge: 6 } as const;
export type OperationName = keyof typeof OPERATION_NUMBERS;
export const OPERATION_NAMES = Object.keys(OPERATION_NUMBERS) as readonly OperationName[];

export interface Operation {
  /** Unix milliseconds, when it ended. */
  readonly at: number;
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  readonly operation: OperationName;
  /** Empty where it did not get so far as to have one. */
  readonly fileid: string;
  /** As it was asked for; the signature in it is left out. */
  readonly url: string;
  readonly client: string;
  readonly userAgent: string;
  /** Of the answer; 0 is success. */
  readonly code: number;
  readonly message: string;
  /** Of the image that an upload has stored; 0 otherwise. */
  readonly bytes: number;
  readonly requestId: string;
}

/** As it is in the log. */
export interface LoggedOperation extends Operation {
  /** In the order of the log. */
  readonly id: number;
  /** Unix milliseconds, when it was written down. */
  readonly reportedAt: number;
}

/** Without the line's end. */
export const CSV_HEADER =
  "reporttime,time,bucketid,appid,fileid,url,op,realclientip,errno,errmsg,operation,bytes,useragent,requestid";

/** One line, quoted as RFC 4180 wants it, without its end. Values are exact: nothing is done for the sake of spreadsheets. */
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

/** A URL or target without every `sign` of its query. */
export function withoutSign(url: string): string {
  const split = url.indexOf("?");
  if (split === -1) return url;
  const rest = url
    .slice(split + 1)
    .split("&")
    .filter((pair) => !/^sign(=|$)/i.test(pair))
    .join("&");
  return rest === "" ? url.slice(0, split) : `${url.slice(0, split)}?${rest}`;
}
