// Names to addresses for the guarded dialer. It caches nothing: what is dialled is what was just looked up and checked.
import { lookup } from "node:dns/promises";
import { HuiyuanError } from "../errors.ts";

/**
 * All addresses of a name, in the order to try them; never empty. Throws origin_name_unknown or origin_dns_failed.
 * The caller keeps the deadline: a resolver may take as long as it likes.
 */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** getaddrinfo cannot be cancelled, and each call holds a libuv thread: so many names at once and no more. */
const MAX_NAMES_IN_FLIGHT = 64;

// Nothing under these codes is a verdict about the name; everything else from getaddrinfo is a failure to ask.
const UNKNOWN_NAME: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"]);

/**
 * The system's resolver (hosts file, nsswitch, DNS). Those who ask for one name at the same time share one call, so a
 * hanging server costs one thread a name, not one a connection.
 */
export function createSystemResolve(): Resolve {
  const inFlight = new Map<string, Promise<readonly string[]>>();
  return (hostname) => {
    const running = inFlight.get(hostname);
    if (running !== undefined) return running;
    if (inFlight.size >= MAX_NAMES_IN_FLIGHT) {
      const message = `Cannot look up "${hostname}": ${inFlight.size} look-ups are under way`;
      return Promise.reject(new HuiyuanError("origin_dns_failed", message));
    }
    const asked = ask(hostname).finally(() => inFlight.delete(hostname));
    inFlight.set(hostname, asked);
    return asked;
  };
}

async function ask(hostname: string): Promise<readonly string[]> {
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
