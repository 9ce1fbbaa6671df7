// Normalizes host names of the settings, and classifies literal addresses as private or loopback.
// It resolves no names: the dialer checks their addresses.
import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";
import { classifyAddress } from "../core/addresses.ts";

const NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * The spelling for comparisons: lower case, Punycode, no port, no trailing dot; IPv6 stays in brackets. Undefined: not
 * a host.
 */
export function normalizeHost(text: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(text);
  const host = match?.[1]?.toLowerCase();
  if (host === undefined) return undefined;
  if (host.startsWith("[")) return ipaddr.IPv6.isValid(host.slice(1, -1)) ? host : undefined;
  const bare = host.endsWith(".") ? host.slice(0, -1) : host;
  // No URL parser, because it turns 2130706433 into 127.0.0.1, a host that no client sends.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is meant
  const name = /^[\x00-\x7f]*$/.test(bare) ? bare : domainToASCII(bare);
  return NAME.test(name) ? name : undefined;
}

/**
 * True for `localhost`, names below it, and every literal address that is not public unicast. `hostname`: from
 * `new URL(…).hostname`, which normalizes odd spellings such as 0x7f.1.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = bareHost(hostname);
  return isLocalName(host) || (isAddress(host) && ipaddr.process(host).range() !== "unicast");
}

/** True for literal addresses that no setting allows: cloud metadata, link-local, multicast, `0.0.0.0` and similar. */
export function isNeverDialled(hostname: string): boolean {
  const host = bareHost(hostname);
  return isAddress(host) && classifyAddress(host) === "forbidden";
}

/** True for `localhost`, names below it, and loopback addresses. */
export function isLoopbackHost(hostname: string): boolean {
  const host = bareHost(hostname);
  return isLocalName(host) || (isAddress(host) && ipaddr.process(host).range() === "loopback");
}

/** For a name, ipaddr.isValid() alone would throw and catch an error, which is slow. */
function isAddress(host: string): boolean {
  return /^\d|:/.test(host) && ipaddr.isValid(host);
}

function isLocalName(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

function bareHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}
