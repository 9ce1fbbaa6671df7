// Reads names from the machine's own files: the hosts file (hosts(5)) and resolv.conf(5), as glibc reads them. Pure.
import { isIP } from "node:net";

/** Returns the addresses that a hosts file gives to a name, in its order. */
export function addressesInHosts(text: string, hostname: string): readonly string[] {
  const wanted = hostname.toLowerCase();
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = wordsOf(line.replace(/#.*/, "").toLowerCase());
    return names.includes(wanted) && isIP(address) !== 0 ? [address] : [];
  });
}

/**
 * Returns the names to query in DNS, in order; the first that exists counts. For a name with fewer dots than `ndots`
 * the search domains come first. Otherwise a cluster's `images.shop` could be taken for a name on the Internet. Empty
 * if resolv.conf names no such domains: glibc then uses the domain of the machine's name.
 */
export function searchOrder(resolvConf: string, hostname: string): readonly string[] {
  let domains: readonly string[] = [];
  let neededDots = 1;
  for (const line of resolvConf.split("\n")) {
    const [keyword, ...values] = wordsOf(line);
    if (keyword === "search" || keyword === "domain") domains = values;
    if (keyword !== "options") continue;
    for (const value of values) neededDots = Number(/^ndots:(\d+)$/.exec(value)?.[1] ?? neededDots);
  }
  const dots = hostname.split(".").length - 1;
  if (hostname.endsWith(".") || dots >= neededDots) return [hostname];
  if (domains.length === 0) return [];
  const below = domains.filter((domain) => domain !== "."); // systemd-resolved writes the root
  return [...below.map((domain) => `${hostname}.${domain}`), hostname];
}

function wordsOf(line: string): readonly string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}
