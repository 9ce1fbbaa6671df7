// The origin `site`: any web server that answers GET <base>/<key>. It ties hops, heads and exchanges into one fetch:
// redirects by hand, one retry before the head, one deadline over all. Its rules live in the pure files beside it.
import { createHash } from "node:crypto";
import { HuiyuanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AddressClass } from "./addresses.ts";
import { createDialer } from "./dialer.ts";
import { exchange, type Reply } from "./exchange.ts";
import { type Hop, homeHop, hopEndpoint, hopUrl, parseHome } from "./hop.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { createSystemResolve, type Resolve } from "./lookup.ts";
import type { Origin, OriginAnswer, OriginRequest } from "./origin.ts";
import { nextHop, sameHost } from "./redirect.ts";
import { createRequestHead } from "./request-head.ts";
import { type HeadVerdict, judgeHead } from "./response-head.ts";
import { createSlots } from "./slots.ts";

/** Milliseconds. */
export interface SiteTimeouts {
  /** Name, TCP and TLS together. */
  readonly connect: number;
  /** From the request's dispatch on a connection to the response head. */
  readonly firstByte: number;
  /** Between two pieces of the body, our own pauses left out. */
  readonly idle: number;
  /** From the call to the end of the body, redirects and the retry included. */
  readonly total: number;
}

export interface SiteOptions {
  /** http or https; a path is put before every key. No userinfo, query or fragment. */
  readonly url: string;
  /** Sent as Host instead of the URL's own; also the TLS name where the URL has a literal address. */
  readonly host?: string | undefined;
  readonly referer?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Private addresses may be dialled for the URL's host and port, and redirects within them; for nothing else. */
  readonly allowPrivate: boolean;
  /** Requests at once, to the origin and to where it redirects; further ones wait in order. */
  readonly connections: number;
  readonly timeouts: SiteTimeouts;
  readonly userAgent: string;
  /** Names this server in Via and CDN-Loop: a token, the same on every node of one installation. */
  readonly serverId: string;
  readonly log: Log;
  /** Default: derived from all that decides what the origin answers. */
  readonly id?: string | undefined;
  readonly resolve?: Resolve;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** See DialerOptions. */
  readonly classify?: (address: string) => AddressClass;
}

/**
 * An origin over HTTP/1.1. Throws settings_invalid for options that cannot work. fetch() throws, beside the codes that
 * Origin names, origin_loop, overloaded, draining once closed, and the signal's reason.
 */
export function createSite(options: SiteOptions): Origin {
  const home = parseHome(options.url);
  const { timeouts, log } = options;
  const id = options.id ?? identityOf(options);
  const requestHead = createRequestHead({
    userAgent: options.userAgent,
    serverId: options.serverId,
    host: options.host || undefined,
    referer: options.referer || undefined,
    headers: options.headers ?? {},
  });
  const homeEndpoint = hopEndpoint({ ...home, target: "/", isHome: true }, undefined);
  const dialer = createDialer({
    allowPrivate: (hostname, port) =>
      options.allowPrivate && port === home.port && sameHost(hostname, homeEndpoint.hostname),
    resolve: options.resolve ?? createSystemResolve(),
    connectTimeoutMs: timeouts.connect,
    connections: options.connections,
    ca: options.ca,
    ...(options.classify === undefined ? {} : { classify: options.classify }),
  });
  const tlsName = options.host?.replace(/:\d+$/, "") || undefined;
  const slots = createSlots(options.connections);
  let closing: Promise<void> | undefined;
  let running = 0;
  let onIdle: (() => void) | undefined;

  const over = (lifetime: Lifetime) => {
    lifetime.end();
    running -= 1;
    if (running === 0) onIdle?.();
  };

  const ask = async (hop: Hop, request: OriginRequest, lifetime: Lifetime): Promise<Reply> => {
    const headers = requestHead.headers(request, hop.isHome);
    const give = await slots.take(lifetime);
    try {
      const reply = await exchange(
        dialer.dispatcher(hopEndpoint(hop, hop.isHome ? tlsName : undefined)),
        { method: request.method, target: hop.target, headers, label: hopUrl(hop) },
        { firstByteMs: timeouts.firstByte, idleMs: timeouts.idle, maxBytes: request.maxBytes, lifetime },
      );
      void reply.body.over.then(give);
      return reply;
    } catch (error) {
      give();
      throw error;
    }
  };

  /** Follows redirects to the last reply. The one retry is spent on the first failure that another dial may mend. */
  const walk = async (request: OriginRequest, lifetime: Lifetime) => {
    const first = homeHop(home, request.key);
    const hops = [first];
    let hasRetried = false;
    for (;;) {
      const hop = hops.at(-1) ?? first;
      let reply: Reply;
      try {
        reply = await ask(hop, request, lifetime);
      } catch (error) {
        if (hasRetried || !isWorthRetrying(error)) throw error;
        hasRetried = true;
        log.debug({ origin: id, url: hopUrl(hop), err: error }, "origin: retrying once");
        continue;
      }
      const verdict = judgeOrDiscard(reply, hop, request);
      if (verdict.kind === "answer") return { hop, reply, facts: verdict.facts };
      reply.body.discard();
      if (verdict.kind === "absent") return undefined;
      hops.push(nextHop(hops, verdict.location, { hop: first, isPrivate: options.allowPrivate }));
    }
  };

  const closeAll = async () => {
    if (running > 0) {
      await new Promise<void>((resolve) => {
        onIdle = resolve;
      });
    }
    await dialer.close();
  };

  return {
    id,
    async fetch(request): Promise<OriginAnswer | undefined> {
      if (closing !== undefined)
        throw new HuiyuanError("draining", `Cannot fetch "${request.key}": the origin is closed`);
      const startedAt = performance.now();
      const lifetime = createLifetime(request.signal, timeouts.total, () => {
        const message = `Cannot fetch "${request.key}" from ${options.url}: not done in ${timeouts.total} ms`;
        return new HuiyuanError("origin_timeout", message);
      });
      running += 1;
      let isAnswered = false;
      try {
        const answer = await walk(request, lifetime);
        if (answer === undefined) return undefined;
        isAnswered = true;
        const { body } = answer.reply;
        void body.over.then(() => over(lifetime));
        return { url: hopUrl(answer.hop), ...answer.facts, headMs: performance.now() - startedAt, body };
      } finally {
        if (!isAnswered) over(lifetime);
      }
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

function judgeOrDiscard(reply: Reply, hop: Hop, request: OriginRequest): HeadVerdict {
  try {
    return judgeHead(reply, { maxBytes: request.maxBytes, label: hopUrl(hop), now: Date.now() });
  } catch (error) {
    reply.body.discard();
    throw error;
  }
}

function isWorthRetrying(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "origin_refused" || error.code === "origin_reset");
}

/** Hashed, since headers may hold credentials and an id is shown in logs and metrics. */
function identityOf(options: SiteOptions): string {
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  const facts = [options.url, options.host || "", options.referer || "", options.allowPrivate, headers.sort()];
  return `site:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16)}`;
}
