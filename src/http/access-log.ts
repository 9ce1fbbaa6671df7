// One log line a download, as `accessLog` says. The token is taken out of the URL; who asked is the socket's address,
// or what a trusted proxy says.
import { performance } from "node:perf_hooks";
import ipaddr from "ipaddr.js";
import type { Log } from "../core/log.ts";
import { asciiQuery } from "../mirror/object-keys.ts";
import { redactTarget } from "../sign/redact.ts";
import type { Exchange } from "./request/exchange.ts";

export interface AccessLogRules {
  /** `misses`: all but plain hits, and what an origin that is left alone could not bring: that has lines of its own. */
  readonly accessLog: "off" | "misses" | "all";
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
}

/** Writes the line of an answered exchange. */
export function createAccessLog(log: Log): (exchange: Exchange, rules: AccessLogRules) => void {
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

/** Raw bytes are escaped, since terminals obey some of them. What redactTarget() takes for a secret is replaced; the rest stays as it came. */
export function withoutToken(url: string): string {
  return redactTarget(asciiQuery(url));
}

/**
 * The last address of X-Forwarded-For that no trusted proxy wrote, when the socket's own address is trusted; else the
 * socket's. Whatever an untrusted client says of itself is not believed.
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

/** Some balancers write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
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
