// Resolves names to addresses for the guarded dialer: the hosts file, then DNS, then the system's resolver for names
// that only other sources of nsswitch.conf have. Nothing is cached: the dialer dials addresses that were just resolved
// and checked.
import { lookup, NODATA, NOTFOUND, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { withTimeout } from "../../../async/cancellation.ts";
import { errorCodeOf } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";

/**
 * Returns all addresses of a name, in the order to try them; never empty. Throws origin_name_unknown or
 * origin_dns_failed. The caller keeps the deadline: a resolver may take any time.
 */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** The most lookups of one dialer at a time. */
const MAX_NAMES_IN_FLIGHT = 64;
/**
 * The most calls of the system's resolver of one dialer at a time. getaddrinfo cannot be cancelled and holds a thread
 * of the process; libuv gives two (of four) to names, and further calls wait behind them. A call that never ends counts
 * for ever.
 */
const MAX_SYSTEM_CALLS = 8;
/** A lookup waits no longer for the system, so that the next one for this name queries DNS again. */
const SYSTEM_MS = 3_000;
/** c-ares retries, or tries the next server, after 0.5 s, and then after 1 s: 1.5 s in all, 3 s with two servers. */
const RETRIES = { timeout: 500, tries: 2 };
/** After one family was found, the longest wait for the other. */
const OTHER_FAMILY_MS = 100;
/** The name or its addresses do not exist. Every other code means that no server could tell. */
const NONE: ReadonlySet<unknown> = new Set([NOTFOUND, NODATA]);
// Only these codes are a statement about the name; every other failure of getaddrinfo means that it could not query.
const UNKNOWN_NAME: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"]);

/** The sources of addresses; others than the system's only in tests. */
export interface AddressSources {
  readonly hosts?: string;
  readonly resolvConf?: string;
  /** Replaces the name servers of the system's resolv.conf, `address:port`. */
  readonly servers?: readonly string[];
  readonly system?: Resolve;
}

/**
 * Simultaneous requests for one name share a lookup. Made for one dialer: the number of its running lookups is bounded.
 * Only the system's resolver holds threads, so a silent name server of some names does not delay others in DNS.
 */
export function createSystemResolve(sources: AddressSources = {}): Resolve {
  // A call that ends late serves the lookups of its name until then.
  const findInSystem = sharing(MAX_SYSTEM_CALLS, sources.system ?? lookUpInSystem);
  return sharing(MAX_NAMES_IN_FLIGHT, async (hostname) => {
    // An empty or failed search proves nothing: the system may know the name from another source.
    const found = await findInDns(hostname, sources).catch(() => []);
    if (found.length > 0) return found;
    const answer = findInSystem(hostname);
    return withTimeout(SYSTEM_MS, answer, `Cannot look up "${hostname}": the system is silent`, "origin_dns_failed");
  });
}

/** Simultaneous calls for one name share a call of `resolve`. At most `most` of them run; further ones are refused. */
function sharing(most: number, resolve: Resolve): Resolve {
  const running = new Map<string, ReturnType<Resolve>>();
  return (hostname) => {
    const known = running.get(hostname);
    if (known !== undefined) return known;
    if (running.size >= most) {
      const message = `Cannot look up "${hostname}": ${most} lookups are running already`;
      return Promise.reject(new HuiyuanError("origin_dns_failed", message));
    }
    const answer = resolve(hostname).finally(() => running.delete(hostname));
    running.set(hostname, answer);
    return answer;
  };
}

async function lookUpInSystem(hostname: string): Promise<readonly string[]> {
  try {
    const found = await lookup(hostname, { all: true, verbatim: true });
    return found.map((entry) => entry.address);
  } catch (cause) {
    const code = errorCodeOf(cause);
    const isUnknown = UNKNOWN_NAME.has(code);
    const message = `Cannot look up "${hostname}": ${code || String(cause)}`;
    throw new HuiyuanError(isUnknown ? "origin_name_unknown" : "origin_dns_failed", message, { cause });
  }
}

/**
 * Searches the hosts file, then DNS by c-ares with the name servers and search domains of resolv.conf. Empty if the
 * name is in neither; throws if a file or server could not tell.
 */
async function findInDns(hostname: string, sources: AddressSources): Promise<readonly string[]> {
  const { hosts = "/etc/hosts", resolvConf = "/etc/resolv.conf", servers } = sources;
  const inHostsFile = addressesInHosts(await readIfThere(hosts), hostname);
  if (inHostsFile.length > 0) return inHostsFile;
  const options = `options ${process.env.RES_OPTIONS ?? ""}`; // glibc reads it after the file
  const names = searchOrder(`${await readIfThere(resolvConf)}\n${options}`, hostname);
  const resolver = new Resolver(RETRIES);
  if (servers !== undefined) resolver.setServers(servers);
  for (const name of names) {
    const found = await queryBothFamilies(resolver, name);
    if (found.length > 0) return found;
  }
  return [];
}

/** Empty if the name has no addresses; throws if no server could tell. */
async function queryBothFamilies(resolver: Resolver, name: string): Promise<readonly string[]> {
  const found: (readonly string[])[] = [];
  const queries = [resolver.resolve4(name), resolver.resolve6(name)].map(async (answer, family) => {
    const addresses = await answer;
    // node resolves an alias without addresses of this family to an empty list.
    if (addresses.length === 0) throw Object.assign(new Error("no address of this family"), { code: NODATA });
    found[family] = addresses;
  });
  try {
    await Promise.any(queries);
  } catch (error) {
    if (error instanceof AggregateError && error.errors.every(({ code }) => NONE.has(code))) return [];
    throw error;
  }
  await Promise.race([Promise.allSettled(queries), delay(OTHER_FAMILY_MS, undefined, { ref: false })]);
  return interleave(found[0] ?? [], found[1] ?? []);
}

/** Only the first few addresses are dialled, so both families must be among them. */
function interleave(four: readonly string[], six: readonly string[]): readonly string[] {
  const length = Math.max(four.length, six.length);
  return Array.from({ length }, (_, at) => [...four.slice(at, at + 1), ...six.slice(at, at + 1)]).flat();
}

/** Throws any failure except absence, because then the file's entries are unknown. */
async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return "";
    throw error;
  }
}

/** Returns the addresses that a hosts file (hosts(5)) gives to a name, in its order, as glibc reads it. */
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
 * if resolv.conf(5) names no such domains: glibc then uses the domain of the machine's name.
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
