// Names to addresses for the guarded dialer. The system's resolver is the authority; where it is silent, direct-lookup.ts
// asks beside it. Nothing is cached: what is dialled is what was just looked up and checked.
import { lookup } from "node:dns/promises";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { type Log, SILENT_LOG } from "../../core/log.ts";
import { createDirectLookup, type DirectLookup } from "./direct-lookup.ts";

/**
 * All addresses of a name, in the order to try them; never empty. Throws origin_name_unknown or origin_dns_failed.
 * The caller keeps the deadline: a resolver may take as long as it likes.
 */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** Looked up for one dialer at once. */
const MAX_NAMES_IN_FLIGHT = 64;
/**
 * getaddrinfo cannot be cancelled, and holds one of the process's threads, of which libuv gives two (of four) to names: a silent
 * name server keeps everybody waiting. So many names of one dialer at most wait for a thread; the others do without. One that
 * never ends counts for ever: it leaves the others a thread, and where two do, further names would only wait behind them.
 */
const MAX_NAMES_ON_THREADS = 8;
/** A silent name server takes 2 s (main.ts), each that resolv.conf names beside it as long. */
const HELD_MS = 30_000;
/** Most look-ups take a tenth of it; who waits for an image hardly notices it. */
const SILENCE_MS = 200;

// Nothing under these codes is a verdict about the name; everything else from getaddrinfo is a failure to ask.
const UNKNOWN_NAME: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"]);

/** What the system was asked, maybe a while ago. */
interface SystemCall {
  readonly answer: Promise<readonly string[]>;
  /** From then on it counts as silent; performance.now(). */
  readonly silentAt: number;
}

export interface SystemResolveOptions {
  /** Told once of a system that does not answer, until it has answered all that it was asked. */
  readonly log?: Log;
  /** Whom the resolver asks; others only in tests. */
  readonly system?: Resolve;
  readonly direct?: DirectLookup;
}

/**
 * The system's resolver (hosts file, nsswitch, DNS), and DNS without it where it takes its time. Those who ask for one name at
 * the same time share one look-up. For one dialer: what it may have under way is bounded.
 */
export function createSystemResolve(options: SystemResolveOptions = {}): Resolve {
  const { log = SILENT_LOG, system = lookUpInSystem, direct = createDirectLookup() } = options;
  const inFlight = new Map<string, Promise<readonly string[]>>();
  const onThreads = new Map<string, SystemCall>();
  let isLogged = false;

  const logHeld = (hostname: string) => {
    if (isLogged) return;
    isLogged = true;
    const meaning =
      "while both threads for names are held, names that only other sources than DNS and the hosts file know are not found";
    log.warn(
      { name: hostname },
      `the system has not answered for a name in ${HELD_MS / 1_000} s: ${meaning}; a restart frees them`,
    );
  };

  // One that is still under way is joined, whoever began it: asking again would take another thread.
  const call = (hostname: string): SystemCall => {
    const running = onThreads.get(hostname);
    if (running !== undefined) return running;
    if (onThreads.size >= MAX_NAMES_ON_THREADS) return { answer: refusal(hostname, onThreads.size), silentAt: 0 };
    const held = setTimeout(logHeld, HELD_MS, hostname).unref();
    const answer = system(hostname).finally(() => {
      clearTimeout(held);
      onThreads.delete(hostname);
      if (onThreads.size === 0) isLogged = false;
    });
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
      // Whoever comes from now on is to search anew: this one waits for the system alone, which may be long.
      if (found === undefined) forget();
      return found;
    };
    const result = firstToFind(call(hostname), search).finally(forget);
    inFlight.set(hostname, result);
    return result;
  };
}

/**
 * What the system says; where it is silent, what `search` finds, if that is sooner. That nothing is found means nothing: the
 * system may know the name from elsewhere. Where the system could not ask, a search that has begun may still find.
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

function refusal(hostname: string, underWay: number): Promise<never> {
  const message = `Cannot look up "${hostname}": ${underWay} look-ups are under way`;
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
