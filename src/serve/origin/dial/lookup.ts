// Resolves names to addresses for the guarded dialer: the hosts file, then DNS. Not by the system's resolver, because a
// silent name server would block its threads. Nothing is cached: the dialer dials addresses that were just resolved and
// checked.
import { NODATA, NOTFOUND, Resolver, TIMEOUT } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { errorCodeOf } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";

/**
 * Returns all addresses of a name, in the order to try them; never empty. Throws origin_name_unknown,
 * origin_dns_timeout or origin_dns_failed. The caller keeps the deadline: a resolver may take any time.
 */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** The most lookups of one dialer at a time. */
const MAX_NAMES_IN_FLIGHT = 64;
/** c-ares retries, or tries the next server, after 0.5 s, then after 1 s and 2 s: longer than most dials may take. */
const RETRIES = { timeout: 500, tries: 3 };
/** After one family was found, the longest wait for the other. */
const OTHER_FAMILY_MS = 100;
/** The name or its addresses do not exist. Every other code means that no server could tell. */
const NONE: ReadonlySet<unknown> = new Set([NOTFOUND, NODATA]);

/** The sources of addresses; others than the system's only in tests. */
export interface AddressSources {
  readonly hosts?: string;
  readonly resolvConf?: string;
  /** Replaces the name servers of the system's resolv.conf, `address:port`. */
  readonly servers?: readonly string[];
}

/** Simultaneous requests for one name share a lookup. Made for one dialer, whose running lookups are bounded. */
export function createSystemResolve(sources: AddressSources = {}): Resolve {
  const running = new Map<string, ReturnType<Resolve>>();
  return (hostname) => {
    const known = running.get(hostname);
    if (known !== undefined) return known;
    if (running.size >= MAX_NAMES_IN_FLIGHT) {
      const message = `Cannot look up "${hostname}": ${MAX_NAMES_IN_FLIGHT} lookups are running already`;
      return Promise.reject(new HuiyuanError("origin_dns_failed", message));
    }
    const answer = lookUp(hostname, sources).finally(() => running.delete(hostname));
    running.set(hostname, answer);
    return answer;
  };
}

async function lookUp(hostname: string, sources: AddressSources): Promise<readonly string[]> {
  const found = await search(hostname, sources).catch((cause: unknown) => {
    const [code = ""] = (cause instanceof AggregateError ? cause.errors : [cause]).map(errorCodeOf);
    const message = `Cannot look up "${hostname}": ${code || String(cause)}`;
    throw new HuiyuanError(code === TIMEOUT ? "origin_dns_timeout" : "origin_dns_failed", message, { cause });
  });
  if (found.length > 0) return found;
  throw new HuiyuanError("origin_name_unknown", `Cannot look up "${hostname}": neither the hosts file nor DNS has it`);
}

/**
 * Searches the hosts file, then DNS by c-ares with the name servers and search domains of resolv.conf. Empty if the
 * name is in neither; throws if a file or server could not tell.
 */
async function search(hostname: string, sources: AddressSources): Promise<readonly string[]> {
  const { hosts = "/etc/hosts", resolvConf = "/etc/resolv.conf", servers } = sources;
  const inHostsFile = addressesInHosts(await readIfThere(hosts), hostname);
  if (inHostsFile.length > 0) return inHostsFile;
  const options = `options ${process.env.RES_OPTIONS ?? ""}`; // as glibc, after the file
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
 * the search domains of resolv.conf(5) come first. Otherwise a cluster's `images.shop` could be taken for a name on the
 * Internet.
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
  const below = domains.filter((domain) => domain !== "."); // systemd-resolved writes the root
  return [...below.map((domain) => `${hostname}.${domain}`), hostname];
}

function wordsOf(line: string): readonly string[] {
  return line.split(/\s+/).filter((word) => word !== "");
}
