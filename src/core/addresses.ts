// Decides which IP addresses and ports may be dialled: the pure rules of the SSRF guard. It resolves nothing and dials
// nothing; connect.ts applies it before and after every dial. The settings check uses the ports too.
import ipaddr from "ipaddr.js";

/**
 * `public`: global unicast, always allowed. `private`: allowed only with the setting `allowPrivate` (loopback, RFC
 * 1918, unique local, carrier-grade NAT, 198.18/15, local NAT64). `forbidden`: never allowed, whatever the settings
 * say.
 */
export type AddressClass = "public" | "private" | "forbidden";

// Cloud metadata services inside ranges that a private origin may use. They serve credentials and never images.
const METADATA = new Set(["100.100.100.200", "fd00:ec2::254", "fd20:ce::254"]);

const PRIVATE_RANGES: ReadonlySet<string> = new Set(["loopback", "private", "carrierGradeNat", "uniqueLocal"]);

const BENCHMARKING_V4 = ipaddr.IPv4.parseCIDR("198.18.0.0/15");
const NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");
const NAT64_LOCAL = ipaddr.IPv6.parseCIDR("64:ff9b:1::/48");
const SIX_TO_FOUR = ipaddr.IPv6.parseCIDR("2002::/16");
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Returns the class of a literal address from a resolver or a socket. Any text that is not a strict literal is
 * forbidden. Odd spellings of a host (`127.1`, `0x7f000001`) never reach this function: URL parsing makes literals of
 * them.
 */
export function classifyAddress(text: string): AddressClass {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return "forbidden";
  // ipaddr.js reads the deprecated ::1.2.3.4 as ::ffff:1.2.3.4; the kernel does not.
  if (/^::\d+\./.test(text)) return "forbidden";
  const address = ipaddr.process(text); // ::ffff:127.0.0.1 becomes 127.0.0.1
  return address.kind() === "ipv4" ? classifyV4(address as ipaddr.IPv4) : classifyV6(address as ipaddr.IPv6);
}

function classifyV4(address: ipaddr.IPv4): AddressClass {
  if (METADATA.has(address.toString())) return "forbidden";
  const range = address.range();
  if (range === "unicast") return "public";
  return PRIVATE_RANGES.has(range) || address.match(BENCHMARKING_V4) ? "private" : "forbidden";
}

function classifyV6(address: ipaddr.IPv6): AddressClass {
  if (address.zoneId !== undefined || METADATA.has(address.toRFC5952String())) return "forbidden";
  const bytes = address.toByteArray();
  // NAT64 and 6to4 addresses contain an IPv4 address. The packet ends there, so the IPv4 address decides.
  if (address.match(NAT64)) return classifyV4(new ipaddr.IPv4(bytes.slice(12)));
  if (address.match(SIX_TO_FOUR)) return classifyV4(new ipaddr.IPv4(bytes.slice(2, 6)));
  if (PRIVATE_RANGES.has(address.range()) || address.match(NAT64_LOCAL)) return "private";
  // Teredo, ::/96, documentation and others: global unicast lies only inside 2000::/3, and not all of that range is
  // global.
  return address.match(GLOBAL_UNICAST_V6) && address.range() === "unicast" ? "public" : "forbidden";
}

// The ports that browsers block (https://fetch.spec.whatwg.org/#port-blocking), then the ports of common data stores,
// because such a service may read a request line as a command.
const FORBIDDEN_PORTS: ReadonlySet<number> = new Set([
  ...[1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109],
  ...[110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530],
  ...[531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190],
  ...[5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080],
  ...[1433, 1521, 2375, 2379, 3306, 3389, 5432, 5672, 6379, 6380, 9042, 9092, 11211, 27017],
]);

/** True for a port that is never dialled, even for a private origin. */
export function isForbiddenPort(port: number): boolean {
  return port === 0 || FORBIDDEN_PORTS.has(port);
}
