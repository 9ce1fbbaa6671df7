// The common part of all origins over HTTP: guarded dial, redirects, one retry before the head, one deadline, a bound
// on simultaneous requests. The rules of site.ts, qiniu.ts and s3.ts decide where an object is and how a request is
// signed.

import { createSharedSignals } from "../../async/shared-signals.ts";
import type { AddressClass } from "../../core/addresses.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createDialer } from "../dial/dialer.ts";
import { createExchangeLimit, createLifetime, type Lifetime } from "../dial/lifetime.ts";
import { createSystemResolve, type Resolve } from "../dial/lookup.ts";
import { exchange, type Reply } from "../exchange/exchange.ts";
import { type Hop, homeHop, hopEndpoint, hopOrigin, hopUrl, nextHop, sameHost } from "../exchange/hop.ts";
import { createRequestHead } from "../exchange/request-head.ts";
import {
  type AnswerFacts,
  assessHead,
  confirmsVersion,
  type HeadVerdict,
  readShortBody,
  type SentRequest,
} from "../exchange/response-head.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest, OriginTarget } from "../origin.ts";
import { type HttpOriginRules, previewRequest, signHeaders } from "./http-rules.ts";

/** Milliseconds. */
export interface OriginTimeouts {
  /** Name, TCP and TLS together. */
  readonly connect: number;
  /** From the request's dispatch on a connection to the response head. */
  readonly firstByte: number;
  /** Between two chunks of the body, without our own pauses. */
  readonly idle: number;
  /** From the call to the end of the body, including redirects and the retry. */
  readonly total: number;
}

/** Options that all kinds of origin share. */
export interface HttpOriginOptions {
  /**
   * Private addresses may be dialled for the origin's host and port, including redirects to them, and for no other
   * server.
   */
  readonly allowPrivate: boolean;
  /** The most simultaneous requests, including those to redirect targets; further ones wait in order. */
  readonly connections: number;
  readonly timeouts: OriginTimeouts;
  readonly userAgent: string;
  /** Names this server in Via and CDN-Loop: a token, equal on every node of one installation. */
  readonly serverId: string;
  readonly log: Log;
  /** Called when a request is retried before its head. */
  readonly onRetry?: () => void;
  readonly resolve?: Resolve;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** See DialerOptions. */
  readonly classify?: (address: string) => AddressClass;
}

/** The same server needs a different request. */
interface Resend {
  readonly kind: "resend";
  readonly request: OriginRequest;
}

/** Bytes of an error response that are read for its meaning. */
const MAX_ERROR_BYTES = 16_384;

/**
 * An origin over HTTP/1.1. Throws settings_invalid for headers that cannot be sent. fetch() throws the codes that
 * Origin names, origin_loop, overloaded, draining once closed, and the signal's reason.
 */
export function createHttpOrigin(options: HttpOriginOptions, rules: HttpOriginRules): Origin {
  const { timeouts, log } = options;
  const { id, home } = rules;
  const requestHead = createRequestHead({ ...rules.head, userAgent: options.userAgent, serverId: options.serverId });
  const homeEndpoint = hopEndpoint(homeHop(home, "/"), undefined);
  const dialer = createDialer({
    allowPrivate: (hostname, port) =>
      options.allowPrivate && port === home.port && sameHost(hostname, homeEndpoint.hostname),
    resolve: options.resolve ?? createSystemResolve({ log }),
    connectTimeoutMs: timeouts.connect,
    connections: options.connections,
    ca: options.ca,
    onUnsolicited({ hostname, port }, ms) {
      const about = { origin: id, host: `${hostname}:${port}` };
      const text = "an origin sends unrequested bytes, which could pass for the response to another request";
      log.warn(about, `${text}; for ${ms / 60_000} minutes each request uses its own connection`);
    },
    ...(options.classify === undefined ? {} : { classify: options.classify }),
  });
  const limit = createExchangeLimit(options.connections);
  const share = createSharedSignals();
  let closing: Promise<void> | undefined;
  let running = 0;
  let onIdle: (() => void) | undefined;

  const finish = (lifetime: Lifetime) => {
    lifetime.end();
    running -= 1;
    if (running === 0) onIdle?.();
  };

  const send = async (hop: Hop, request: OriginRequest, lifetime: Lifetime): Promise<Reply> => {
    const head = requestHead.headers(request, hop.isHome, request.headers);
    const release = await limit.take(lifetime);
    try {
      const headers = rules.sign === undefined ? head : await signHeaders(rules, head, request.method, hop);
      const reply = await exchange(
        dialer.dispatcher(hopEndpoint(hop, rules.tlsName)),
        { method: request.method, target: hop.target, headers, label: hopUrl(hop) },
        { firstByteMs: timeouts.firstByte, idleMs: timeouts.idle, maxBytes: request.maxBytes, lifetime },
      );
      void reply.body.over.then(release);
      return reply;
    } catch (error) {
      release();
      throw error;
    }
  };

  /** Uses the fetch's one retry for the first failure that another dial may cure. */
  const sendWithRetry = async (
    hop: Hop,
    request: OriginRequest,
    lifetime: Lifetime,
    fetch: { hasRetried: boolean },
  ) => {
    try {
      return await send(hop, request, lifetime);
    } catch (error) {
      if (fetch.hasRetried || !isWorthRetrying(error)) throw error;
      fetch.hasRetried = true;
      options.onRetry?.();
      log.debug({ origin: id, url: hopUrl(hop), err: error }, "origin: retrying once");
      return await send(hop, request, lifetime);
    }
  };

  const assess = async (
    reply: Reply,
    hop: Hop,
    request: OriginRequest,
    lifetime: Lifetime,
  ): Promise<HeadVerdict | Resend> => {
    const { maxBytes, unless } = request;
    const sent = { maxBytes, label: hopUrl(hop), now: Date.now(), isConditional: unless !== undefined };
    const isRefusal = reply.status >= 400 && reply.status < 500;
    if (!isRefusal || rules.readError === undefined || !hop.isHome) {
      return resendIfOtherVersion(assessOrDiscard(reply, sent), request);
    }
    if (reply.status === 404 && request.method === "HEAD") {
      return { kind: "resend", request: { ...request, method: "GET" } };
    }
    const body = await readShortBody(reply.body, MAX_ERROR_BYTES, lifetime);
    return assessOrDiscard(reply, { ...sent, meaning: rules.readError(reply.status, body) });
  };

  /** Returns the hop to follow. Throws if the rules or the request follow no redirect. */
  const redirected = (
    hops: readonly [Hop, ...Hop[]],
    location: string | undefined,
    reply: Reply,
    target: OriginTarget,
  ) => {
    const from = hops.at(-1) ?? hops[0];
    rules.refuseRedirect?.(hopUrl(from), reply.headers);
    const next = nextHop(hops, location, { hop: hops[0], isPrivate: options.allowPrivate });
    if (target.followsRedirects) return next;
    throw rules.isQuerySecret === true ? movedInSecret(from) : moved(from, next, reply.status);
  };

  /** Follows redirects up to the last reply. */
  const followRedirects = async (initial: OriginRequest, lifetime: Lifetime) => {
    const first = homeHop(home, rules.target(initial));
    const hops: [Hop, ...Hop[]] = [first];
    const fetch = { hasRetried: false };
    let request = initial;
    for (;;) {
      const hop = hops.at(-1) ?? first;
      const reply = await sendWithRetry(hop, request, lifetime, fetch);
      const verdict = await assess(reply, hop, request, lifetime);
      if (verdict.kind === "answer") {
        return { kind: "answer", hop, reply, facts: verdict.facts } as const;
      }
      reply.body.discard();
      if (verdict.kind === "resend") {
        ({ request } = verdict);
        continue;
      }
      if (verdict.kind === "absent") return undefined;
      if (verdict.kind === "not-modified") return verdict;
      hops.push(redirected(hops, verdict.location, reply, request));
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
    async fetch(request): Promise<OriginAnswer | NotModified | undefined> {
      if (closing !== undefined)
        throw new HuiyuanError("draining", `Cannot fetch "${request.key}": the origin is closed`);
      const startedAt = performance.now();
      const lifetime = createLifetime(share(request.signal), timeouts.total, () => {
        const message = `Cannot fetch "${request.key}" from ${hopOrigin(home)}: not done in ${timeouts.total} ms`;
        return new HuiyuanError("origin_timeout", message);
      });
      running += 1;
      let isAnswered = false;
      try {
        const answer = await followRedirects(request, lifetime);
        if (answer === undefined) return undefined;
        const headMs = performance.now() - startedAt;
        if (answer.kind === "not-modified") return { isNotModified: true, ...answer.facts, headMs };
        isAnswered = true;
        const { body, headers, desync } = answer.reply;
        void body.over.then(() => finish(lifetime));
        return answerOf(answer.facts, {
          url: hopUrl(answer.hop),
          digests:
            rules.digests === undefined ? answer.facts.digests : { ...rules.digests(headers), ...answer.facts.digests },
          headMs,
          body,
          desync,
        });
      } finally {
        if (!isAnswered) finish(lifetime);
      }
    },
    preview: async (request) => [await previewRequest(rules, requestHead, request)],
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

/** Field by field: spreading and then adding costs V8 microseconds and kilobytes. */
function answerOf(
  { size, framing, etag, lastModified, life, headers }: AnswerFacts,
  { url, digests, headMs, body, desync }: Pick<OriginAnswer, "url" | "digests" | "headMs" | "body" | "desync">,
): OriginAnswer {
  return { isNotModified: false, url, size, framing, digests, etag, lastModified, life, headers, headMs, body, desync };
}

/** A 304 about another version tells nothing about this one, so the request is repeated without conditions. */
function resendIfOtherVersion(verdict: HeadVerdict, request: OriginRequest): HeadVerdict | Resend {
  const isOtherVersion =
    verdict.kind === "not-modified" && request.unless !== undefined && !confirmsVersion(request.unless, verdict.facts);
  return isOtherVersion ? { kind: "resend", request: { ...request, unless: undefined } } : verdict;
}

function assessOrDiscard(reply: Reply, sent: SentRequest): HeadVerdict {
  try {
    return assessHead(reply, sent);
  } catch (error) {
    reply.body.discard();
    throw error;
  }
}

function moved(from: Hop, to: Hop, status: number): HuiyuanError {
  return new HuiyuanError(
    "origin_moved",
    `Cannot fetch "${hopUrl(from)}": it has moved, redirects are passed to clients`,
    {
      originStatus: status,
      location: hopOrigin(to) + to.target,
    },
  );
}

function movedInSecret(from: Hop): HuiyuanError {
  const message = `Cannot pass on the redirect of "${hopUrl(from)}": the origin is private, and it may repeat a credential`;
  return new HuiyuanError("origin_redirect", message);
}

function isWorthRetrying(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "origin_refused" || error.code === "origin_reset");
}
