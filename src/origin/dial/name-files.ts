// What the machine's own files say of a name: the hosts file (hosts(5)) and resolv.conf(5), as glibc reads them. Pure.
import { isIP } from "node:net";

/** The addresses that a hosts file gives to a name, in its order. */
export function addressesInHosts(text: string, hostname: string): readonly string[] {
  const wanted = hostname.toLowerCase();
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = wordsOf(line.replace(/#.*/, "").toLowerCase());
    return names.includes(wanted) && isIP(address) !== 0 ? [address] : [];
  });
}

/**
 * The names under which DNS is to be asked, in order; the first that exists counts. A name with fewer dots than `ndots` is
 * looked for in the search domains first, so that `images.shop` of a cluster is not taken for one on the Internet. Empty where
 * these domains are not said: glibc then takes the domain of the machine's name.
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
  const below = domains.filter((domain) => domain !== "."); // systemd-resolved writes a root
  return [...below.map((domain) => `${hostname}.${domain}`), hostname];
}

function wordsOf(line: string): readonly string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}
