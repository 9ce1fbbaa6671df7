// The log lines of answered requests, one for each. Tokens are removed from URLs. The client is the socket's address,
// or the one that a trusted proxy reports.
import { performance } from "node:perf_hooks";
import { type ErrorCode, restError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { asciiQuery } from "../mirror/object-keys.ts";
import { redactTarget } from "../sign/redact.ts";
import { addressOf } from "./request/client-address.ts";
import type { DownloadExchange } from "./request/exchange.ts";
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

/** Replaces secrets, as redactTarget() finds them, and escapes raw bytes, because terminals execute some of them. */
export function withoutToken(url: string): string {
  return redactTarget(asciiQuery(url));
}
