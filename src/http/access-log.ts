// Writes one log line for each download and each call of the REST API, as `accessLog` says. Tokens are removed from the
// URL. The client is the socket's address, or the one that a trusted proxy reports.
import { performance } from "node:perf_hooks";
import ipaddr from "ipaddr.js";
import type { Log } from "../core/log.ts";
import { asciiQuery } from "../mirror/object-keys.ts";
import { redactTarget } from "../sign/redact.ts";
import type { DownloadExchange } from "./request/exchange.ts";
import type { AnsweredCall } from "./rest/rest.ts";

export interface AccessLogRules {
  /** `misses`: all except hits and misses at a failing origin, which has log lines of its own. */
  readonly accessLog: "off" | "misses" | "all";
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
}

/** Returns a function that writes the line of an answered exchange. */
export function createAccessLog(log: Log): (exchange: DownloadExchange, rules: AccessLogRules) => void {
  return (exchange, rules) => {
    const { accessLog, trustedProxies } = rules;
    const { request, response, outcome, errorCode, requestId, startedAt, site } = exchange;
    if (accessLog === "off") return;
    if (accessLog === "misses" && (outcome.kind === "hit" || errorCode === "origin_failing")) return;
    const milliseconds = Math.round((performance.now() - startedAt) * 10) / 10;
    log.info(
      {
        requestId,
        client: clientAddress(request.socket.remoteAddress ?? "", request.headers["x-forwarded-for"], trustedProxies),
        method: request.method,
        host: request.headers.host && withoutToken(`//${request.headers.host}`).slice(2),
        url: withoutToken(request.url ?? ""),
        bucket: site?.stored.bucketId,
        status: response.statusCode,
        outcome: outcome.kind,
        tier: outcome.tier,
        ...(errorCode === undefined ? {} : { code: errorCode }),
        milliseconds,
      },
      "download",
    );
  };
}

/**
 * Returns a function that writes the line of an answered call unless `accessLog` is `off`; under `misses` too, because
 * no call is a hit. A line contains neither signature nor content.
 */
export function createCallLog(log: Log): (call: AnsweredCall, rules: AccessLogRules) => void {
  return ({ request, requestId, name, bucketId, fileid, bytes, code, milliseconds }, { accessLog, trustedProxies }) => {
    if (accessLog === "off") return;
    const { headers, method, url = "" } = request;
    log.info(
      {
        requestId,
        client: clientAddress(request.socket.remoteAddress ?? "", headers["x-forwarded-for"], trustedProxies),
        method,
        url: withoutToken(url),
        operation: name,
        bucket: bucketId,
        ...(fileid === undefined ? {} : { fileid: redactTarget(fileid) }),
        ...(bytes === 0 ? {} : { bytes }),
        code: code ?? "client_gone",
        milliseconds: Math.round(milliseconds * 10) / 10,
      },
      "api call",
    );
  };
}

/** Replaces secrets, as redactTarget() finds them, and escapes raw bytes, because terminals execute some of them. */
export function withoutToken(url: string): string {
  return redactTarget(asciiQuery(url));
}

/**
 * The client's address. If the socket's address is trusted, it is the last address of X-Forwarded-For that is not a
 * trusted proxy's; else it is the socket's. Entries that an untrusted client wrote are never believed.
 */
export function clientAddress(
  socketAddress: string,
  forwarded: string | string[] | undefined,
  trusted: readonly string[],
): string {
  let address = plain(socketAddress);
  if (trusted.length === 0 || forwarded === undefined) return address;
  const hops = String(forwarded).split(",");
  while (isTrusted(address, trusted)) {
    const next = withoutPort(hops.pop() ?? "");
    if (!ipaddr.isValid(next)) break;
    address = plain(next);
  }
  return address;
}

/** Removes a port: some balancers write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const text = hop.trim();
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? text;
}

function plain(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).toString() : address;
}

function isTrusted(address: string, trusted: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return trusted.some((entry) => {
    const [range, bits] = ipaddr.isValidCIDR(entry) ? ipaddr.parseCIDR(entry) : [ipaddr.process(entry), undefined];
    if (range.kind() !== parsed.kind()) return false;
    return parsed.match(range, bits ?? (range.kind() === "ipv4" ? 32 : 128));
  });
}
