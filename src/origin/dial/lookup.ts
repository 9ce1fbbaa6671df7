// Resolves names to addresses for the guarded dialer. The system's resolver is the authority; if it does not respond in
// time, the hosts file and DNS are queried in parallel. Nothing is cached: the dialer dials addresses that were just
// resolved and checked.
import { lookup, NODATA, NOTFOUND, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";

/**
 * Returns all addresses of a name, in the order to try them; never empty. Throws origin_name_unknown or
 * origin_dns_failed. The caller keeps the deadline: a resolver may take any time.
 */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** The most lookups of one dialer at a time. */
const MAX_NAMES_IN_FLIGHT = 64;
/**
 * The most names of one dialer that use the system's resolver at a time; further names skip it. getaddrinfo cannot be
 * cancelled and holds a thread of the process, and libuv gives two (of four) to names. So one silent name server would
 * block every lookup. A call that never ends counts for ever. One such call leaves a thread to other names; after two,
 * further names would only wait behind them.
 */
const MAX_NAMES_ON_THREADS = 8;
/** Most lookups take a tenth of it, and clients hardly notice this delay. */
const SILENCE_MS = 200;

// Only these codes are a statement about the name; every other failure of getaddrinfo means that it could not query.
const UNKNOWN_NAME: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"]);

/** A running call of the system's resolver, which may have started earlier. */
interface SystemCall {
  readonly answer: Promise<readonly string[]>;
  /** The time from which it counts as silent; performance.now(). */
  readonly silentAt: number;
}

export interface SystemResolveOptions {
  /** The resolver to use; replaced only in tests. */
  readonly system?: Resolve;
  readonly direct?: DirectLookup;
}

/**
 * Resolves by the system's resolver (hosts file, nsswitch, DNS), and by DNS without it if it takes too long.
 * Simultaneous requests for one name share a lookup. Made for one dialer: the number of its running lookups is bounded.
 */
export function createSystemResolve(options: SystemResolveOptions = {}): Resolve {
  const { system = lookUpInSystem, direct = createDirectLookup() } = options;
  const inFlight = new Map<string, Promise<readonly string[]>>();
  const onThreads = new Map<string, SystemCall>();

  // A running call is joined, because another call would take another thread.
  const call = (hostname: string): SystemCall => {
    const running = onThreads.get(hostname);
    if (running !== undefined) return running;
    if (onThreads.size >= MAX_NAMES_ON_THREADS) return { answer: refusal(hostname, onThreads.size), silentAt: 0 };
    const answer = system(hostname).finally(() => onThreads.delete(hostname));
    const begun = { answer, silentAt: performance.now() + SILENCE_MS };
    onThreads.set(hostname, begun);
    return begun;
  };

  return (hostname) => {
    const running = inFlight.get(hostname);
    if (running !== undefined) return running;
    if (inFlight.size >= MAX_NAMES_IN_FLIGHT) return refusal(hostname, inFlight.size);
    const forget = () => {
      if (inFlight.get(hostname) === result) inFlight.delete(hostname);
    };
    const search = async (signal: AbortSignal) => {
      const found = await direct(hostname, signal);
      // New requests start a new search: this one now waits for the system only, which may take long.
      if (found === undefined) forget();
      return found;
    };
    const result = firstToFind(call(hostname), search).finally(forget);
    inFlight.set(hostname, result);
    return result;
  };
}

/**
 * Settles with the system's result, or with the result of `search` if the system is silent and `search` finds the name
 * first. An empty search proves nothing, because the system may know the name from another source. If the system could
 * not query, a running search may still find the name.
 */
function firstToFind(
  { answer, silentAt }: SystemCall,
  search: (signal: AbortSignal) => Promise<readonly string[] | undefined>,
): Promise<readonly string[]> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const first = new Promise<readonly string[]>((resolve, reject) => {
    let searched: Promise<void> | undefined;
    const begin = () => {
      searched = search(over.signal).then((found) => {
        if (found !== undefined) resolve(found);
      });
    };
    const silenceMs = silentAt - performance.now();
    if (silenceMs > 0) timer = setTimeout(begin, silenceMs);
    else begin();
    answer.then(resolve, async (failure: unknown) => {
      if (asHuiyuanError(failure).code === "origin_dns_failed") await searched;
      reject(failure);
    });
  });
  return first.finally(() => {
    clearTimeout(timer);
    over.abort();
  });
}

function refusal(hostname: string, running: number): Promise<never> {
  const message = `Cannot look up "${hostname}": ${running} lookups are running already`;
  return Promise.reject(new HuiyuanError("origin_dns_failed", message));
}

async function lookUpInSystem(hostname: string): Promise<readonly string[]> {
  try {
    const found = await lookup(hostname, { all: true, verbatim: true });
    return found.map((entry) => entry.address);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    throw new HuiyuanError(
      UNKNOWN_NAME.has(code) ? "origin_name_unknown" : "origin_dns_failed",
      `Cannot look up "${hostname}": ${String(code ?? cause)}`,
      { cause },
    );
  }
}

/** Returns the addresses of a name, not empty. Undefined if none was found, which proves nothing. Never throws. */
export type DirectLookup = (hostname: string, signal: AbortSignal) => Promise<readonly string[] | undefined>;

/** The files to read; other paths only in tests. */
export interface DirectSources {
  readonly hosts: string;
  readonly resolvConf: string;
  /** Replaces the name servers of the system's resolv.conf, `address:port`. */
  readonly servers?: readonly string[];
}

/**
 * c-ares retries, or tries the next server, after 0.5 s, and doubles the wait each round: 3.5 s in all, 7 s with two
 * servers.
 */
const RETRIES = { timeout: 500, tries: 3 };
/** After one family was found, the longest wait for the other. */
const OTHER_FAMILY_MS = 100;
/** The name or its addresses do not exist. Every other code means that no server could tell. */
const NONE: ReadonlySet<unknown> = new Set([NOTFOUND, NODATA]);

const SYSTEM: DirectSources = { hosts: "/etc/hosts", resolvConf: "/etc/resolv.conf" };

/**
 * Resolves a name without a thread, for when the system's resolver does not respond: the hosts file, then DNS by c-ares
 * with the name servers and search domains of resolv.conf. It does not read nsswitch.conf or use its other sources.
 */
export function createDirectLookup({ hosts, resolvConf, servers }: DirectSources = SYSTEM): DirectLookup {
  const find = async (hostname: string, signal: AbortSignal) => {
    const inHostsFile = addressesInHosts(await readIfThere(hosts), hostname);
    if (inHostsFile.length > 0) return inHostsFile;
    const options = `options ${process.env.RES_OPTIONS ?? ""}`; // glibc reads it after the file
    const names = searchOrder(`${await readIfThere(resolvConf)}\n${options}`, hostname);
    signal.throwIfAborted();
    const resolver = new Resolver(RETRIES);
    if (servers !== undefined) resolver.setServers(servers);
    signal.addEventListener("abort", () => resolver.cancel(), { once: true });
    for (const name of names) {
      const found = await queryBothFamilies(resolver, name);
      if (found.length > 0) return found;
    }
    return undefined;
  };
  return (hostname, signal) => find(hostname, signal).catch(() => undefined);
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
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
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
