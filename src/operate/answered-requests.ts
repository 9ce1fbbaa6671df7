// Notes answered requests in the operation log and in the usage of buckets. Called once for each request. Tokens are
// removed from URLs. The client is the socket's address, or the one that a trusted proxy reports.
import { addressOf } from "../serve/http/request/client-address.ts";
import type { DownloadExchange } from "../serve/http/request/exchange.ts";
import { type ApiPlace, apiBase } from "../serve/http/response/public-url.ts";
import type { AnsweredCall } from "../serve/http/rest/rest.ts";
import { redactTarget } from "../serve/sign/redact.ts";
import type { Operation, OperationName } from "./admin/operation.ts";
import type { OperationLog } from "./operations/operation-log.ts";
import type { Usage } from "./usage/usage.ts";

export interface Records {
  readonly operations: Pick<OperationLog, "record">;
  readonly usage: Pick<Usage, "count">;
}

const OPERATION_OF: Readonly<Partial<Record<AnsweredCall["name"], OperationName>>> = {
  upload: "upload",
  slice: "upload",
  stat: "query",
  copy: "copy",
  delete: "delete",
};

/** The code of the original service for a client that left before its response. */
const CLIENT_LEFT = { code: -5997, message: "the client has left before its answer" };

export function recordDownload({ site, bodyBytes, errorCode }: DownloadExchange, { usage }: Records): void {
  // Without a domain the request belongs to no bucket.
  if (site === undefined) return;
  usage.count(site.stored.bucketId, "download", { isFailed: errorCode !== undefined, bytes: bodyBytes });
}

/** `place`: the public addresses of the server. `now`: Unix milliseconds. */
export function recordCall(call: AnsweredCall, place: ApiPlace, { operations, usage }: Records, now: number): void {
  const operation = operationOf(call, place, now);
  if (operation === undefined) return;
  operations.record(operation);
  const { bucketId, operation: use, code, bytes } = operation;
  usage.count(bucketId, use, { isFailed: code !== 0 && bytes === 0, bytes });
}

/** Undefined if the call concerns no bucket, or is one of the many slices of an upload. */
function operationOf(call: AnsweredCall, place: ApiPlace, at: number): Operation | undefined {
  const { request, requestId, name, bucketId, fileid = "", bytes, code, message = "" } = call;
  const operation = OPERATION_OF[name];
  if (operation === undefined || bucketId === undefined) return undefined;
  if (name === "slice" && code === 0 && bytes === 0) return undefined;
  const { headers, url = "" } = request;
  return {
    at,
    bucketId,
    operation,
    fileid: redactTarget(fileid),
    // Base and target are redacted apart: `host:port` in front could be mistaken for a user name and password.
    url: (url.startsWith("/") ? apiBase(place, request, headers.host ?? "") : "") + redactTarget(url),
    client: addressOf(request, place.trustedProxies),
    userAgent: headers["user-agent"] ?? "",
    ...(code === undefined ? CLIENT_LEFT : { code, message }),
    bytes,
    requestId,
  };
}
