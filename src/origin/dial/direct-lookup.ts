// Resolves a name without a thread, for when the system's resolver does not respond: the hosts file, then DNS by c-ares
// with the name servers and search domains of resolv.conf. It does not read nsswitch.conf or use its other sources.
import { NODATA, NOTFOUND, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { addressesInHosts, searchOrder } from "./name-files.ts";

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
