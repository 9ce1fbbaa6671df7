// Records answered requests: in the log, in the operation log and in the usage of buckets. Called once for each
// request. Tokens are removed from URLs. The client is the socket's address, or the one that a trusted proxy reports.
import { performance } from "node:perf_hooks";
import { type ErrorCode, restError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Operation, OperationName } from "../../operate/operations/operation.ts";
import type { OperationLog } from "../../operate/operations/operation-log.ts";
import type { Usage } from "../../operate/usage/usage.ts";
import { asciiQuery } from "../mirror/object-keys.ts";
import { redactTarget } from "../sign/redact.ts";
import { addressOf } from "./request/client-address.ts";
import type { DownloadExchange } from "./request/exchange.ts";
import { type ApiPlace, apiBase } from "./response/public-url.ts";
import type { AnsweredCall } from "./rest/rest.ts";

export interface LogRules {
  /**
   * `misses`: all except hits, misses at a failing origin, and refusals of clients beyond their rate: the last two have
   * log lines of their own. Calls of the REST API are never hits.
   */
  readonly accessLog: "off" | "misses" | "all";
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
}

const UNLOGGED: readonly (ErrorCode | undefined)[] = ["origin_failing", "rate_limited"];
const RATE_LIMITED = restError("rate_limited").code;

/** Writes the line of a download. */
export function logDownload(exchange: DownloadExchange, { accessLog, trustedProxies }: LogRules, log: Log): void {
  const { request, response, outcome, errorCode, requestId, startedAt, site } = exchange;
  if (accessLog === "off") return;
  if (accessLog === "misses" && (outcome.kind === "hit" || UNLOGGED.includes(errorCode))) return;
  const fields = {
    requestId,
    client: addressOf(request, trustedProxies),
    method: request.method,
    host: request.headers.host && withoutToken(`//${request.headers.host}`).slice(2),
    url: withoutToken(request.url ?? ""),
    bucket: site?.stored.bucketId,
    status: response.statusCode,
    outcome: outcome.kind,
    tier: outcome.tier,
    ...(errorCode === undefined ? {} : { code: errorCode }),
    milliseconds: rounded(performance.now() - startedAt),
  };
  log.info(fields, "download");
}

/** Writes the line of a REST API call, without signature and content. */
export function logCall(call: AnsweredCall, { accessLog, trustedProxies }: LogRules, log: Log): void {
  if (accessLog === "off" || (accessLog === "misses" && call.code === RATE_LIMITED)) return;
  const { request, requestId, name, bucketId, fileid, bytes, code, milliseconds } = call;
  const fields = {
    requestId,
    client: addressOf(request, trustedProxies),
    method: request.method,
    url: withoutToken(request.url ?? ""),
    operation: name,
    bucket: bucketId,
    ...(fileid === undefined ? {} : { fileid: redactTarget(fileid) }),
    ...(bytes === 0 ? {} : { bytes }),
    code: code ?? "client_gone",
    milliseconds: rounded(milliseconds),
  };
  log.info(fields, "api call");
}

const rounded = (milliseconds: number) => Math.round(milliseconds * 10) / 10;

export interface InsightParts {
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

export function noteDownload({ site, bodyBytes, errorCode }: DownloadExchange, { usage }: InsightParts): void {
  // Without a domain the request belongs to no bucket.
  if (site === undefined) return;
  usage.count(site.stored.bucketId, "download", { isFailed: errorCode !== undefined, bytes: bodyBytes });
}

/** `place`: the public addresses of the server. `now`: Unix milliseconds. */
export function noteCall(call: AnsweredCall, place: ApiPlace, { operations, usage }: InsightParts, now: number): void {
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

/** Replaces secrets, as redactTarget() finds them, and escapes raw bytes, because terminals execute some of them. */
export function withoutToken(url: string): string {
  return redactTarget(asciiQuery(url));
}
