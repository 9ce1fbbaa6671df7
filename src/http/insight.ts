// Records answered requests in the operation log and in the usage of buckets, and decides which ones count. Called once
// for each request.
import type { Operation, OperationName } from "../insight/operation.ts";
import type { OperationLog } from "../insight/operation-log.ts";
import type { Usage } from "../insight/usage.ts";
import { redactTarget } from "../sign/redact.ts";
import { clientAddress } from "./access-log.ts";
import type { Exchange } from "./request/exchange.ts";
import { apiBase, type PublicPlace } from "./response/public-url.ts";
import type { AnsweredCall } from "./rest/rest.ts";

export interface InsightParts {
  readonly operations: Pick<OperationLog, "record">;
  readonly usage: Pick<Usage, "count">;
}

export interface CallRules {
  readonly place: PublicPlace;
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
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

export function noteDownload({ site, bodyBytes, errorCode }: Exchange, { usage }: InsightParts): void {
  // Without a domain the request belongs to no bucket.
  if (site === undefined) return;
  usage.count(site.stored.bucketId, "download", { isFailed: errorCode !== undefined, bytes: bodyBytes });
}

/** `now`: Unix milliseconds. */
export function noteCall(call: AnsweredCall, rules: CallRules, { operations, usage }: InsightParts, now: number): void {
  const operation = operationOf(call, rules, now);
  if (operation === undefined) return;
  operations.record(operation);
  const { bucketId, operation: use, code, bytes } = operation;
  usage.count(bucketId, use, { isFailed: code !== 0 && bytes === 0, bytes });
}

/** Undefined if the call concerns no bucket, or is one of the many slices of an upload. */
function operationOf(call: AnsweredCall, { place, trustedProxies }: CallRules, at: number): Operation | undefined {
  const { request, requestId, name, bucketId, fileid = "", bytes, code, message = "" } = call;
  const operation = OPERATION_OF[name];
  if (operation === undefined || bucketId === undefined) return undefined;
  if (name === "slice" && code === 0 && bytes === 0) return undefined;
  const { headers, url = "", socket } = request;
  return {
    at,
    bucketId,
    operation,
    fileid: redactTarget(fileid),
    // Base and target are redacted apart: `host:port` in front could be mistaken for a user name and password.
    url: (url.startsWith("/") ? apiBase(place, headers.host ?? "") : "") + redactTarget(url),
    client: clientAddress(socket.remoteAddress ?? "", headers["x-forwarded-for"], trustedProxies),
    userAgent: headers["user-agent"] ?? "",
    ...(code === undefined ? CLIENT_LEFT : { code, message }),
    bytes,
    requestId,
  };
}
