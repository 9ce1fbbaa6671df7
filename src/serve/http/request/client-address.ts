// Finds the address of a request's client: the socket's, or the one that a trusted proxy reports. Also names the client
// to which limits on rates apply.
import type { IncomingHttpHeaders } from "node:http";
import ipaddr from "ipaddr.js";

export interface ClientRequest {
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** `trusted`: addresses or CIDR ranges whose X-Forwarded-For is believed. */
export function addressOf({ socket, headers }: ClientRequest, trusted: readonly string[]): string {
  return clientAddress(socket.remoteAddress ?? "", headers["x-forwarded-for"], trusted);
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

/** Whether a trusted proxy passed the request on: it is the socket's address, and the request says that it came so. */
export function cameThroughProxy({ socket, headers }: ClientRequest, trusted: readonly string[]): boolean {
  const isPassedOn = Object.keys(headers).some((name) => name.startsWith("x-forwarded-"));
  return isPassedOn && isTrusted(socket.remoteAddress ?? "", trusted);
}

/** Removes a port: some balancers write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const text = hop.trim();
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? text;
}

function plain(address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).toString() : address;
}

/** Whether an address is one of `trusted`, or in a range of it. */
export function isTrusted(address: string, trusted: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return trusted.some((entry) => {
    const [range, bits] = ipaddr.isValidCIDR(entry) ? ipaddr.parseCIDR(entry) : [ipaddr.process(entry), undefined];
    if (range.kind() !== parsed.kind()) return false;
    return parsed.match(range, bits ?? (range.kind() === "ipv4" ? 32 : 128));
  });
}

/** One client of the limits: an IPv4 address, or an IPv6 /64, because a subscriber has at least that many addresses. */
export function clientOfAddress(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address); // ::ffff:192.0.2.1 becomes 192.0.2.1
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(":")}::/64`
    : parsed.toString();
}
