// The common part of all origins over HTTP: guarded dial, redirects, one retry before the head, one deadline, a bound
// on simultaneous requests. The rules of site.ts, qiniu.ts and s3.ts decide where an object is and how a request is
// signed.

import { type SharedSignal, shareSignal } from "../../../async/cancellation.ts";
import type { AddressClass } from "../../../core/addresses.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import { createDialer } from "../dial/dialer.ts";
import { createSystemResolve, type Resolve } from "../dial/lookup.ts";
import { type BrotliWindows, DecodedBody } from "../exchange/decoded-body.ts";
import { Exchange, type Reply } from "../exchange/exchange.ts";
import { type Hop, homeHop, isServer, nextHop } from "../exchange/hop.ts";
import { Lifetime } from "../exchange/lifetime.ts";
import { createRequestHead } from "../exchange/request-head.ts";
import {
  type AnswerFacts,
  assessHead,
  confirmsVersion,
  type ErrorMeaning,
  readShortBody,
} from "../exchange/response-head.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest } from "../origin.ts";
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
  /** Shared by all origins of the program; default: one of its own. */
  readonly windows?: BrotliWindows;
}

/** Bytes of an error response that are read for its meaning. */
const MAX_ERROR_BYTES = 16_384;

/**
 * An origin over HTTP/1.1. Throws settings_invalid for headers that cannot be sent. fetch() throws the codes that
 * Origin names, origin_loop, overloaded, draining once closed, and the signal's reason.
 */
export function createHttpOrigin(options: HttpOriginOptions, rules: HttpOriginRules): Origin {
  const { timeouts, log, windows = { bytes: 0 } } = options;
  const { id, home } = rules;
  const requestHead = createRequestHead({ ...rules.head, userAgent: options.userAgent, serverId: options.serverId });
  const dialer = createDialer({
    allowPrivate: (hostname, port) => options.allowPrivate && isServer(home.endpoint, hostname, port),
    resolve: options.resolve ?? createSystemResolve(),
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
  /** The signal of the latest fetch; all fetches of the program have the same. */
  let shared: SharedSignal | undefined;

  const send = async (hop: Hop, request: OriginRequest, lifetime: Lifetime): Promise<Reply> => {
    const { method, maxBytes } = request;
    const head = requestHead(request, hop.isHome, request.headers);
    const headers = rules.sign === undefined ? head : await signHeaders(rules, head, method, hop);
    const sent = { method, hop, headers, timeouts, maxBytes, lifetime };
    return new Exchange(dialer.dispatcher(hop.endpoint), sent).reply;
  };

  /** Waits only for the body of an error. */
  const assess = (reply: Reply, hop: Hop, request: OriginRequest, lifetime: Lifetime) => {
    const { maxBytes, unless } = request;
    const { readError } = rules;
    const sent = { maxBytes, label: hop.url, now: Date.now(), isConditional: unless !== undefined };
    const judge = (meaning?: ErrorMeaning) => {
      try {
        return assessHead(reply, meaning === undefined ? sent : { ...sent, meaning });
      } catch (error) {
        reply.body.discard();
        throw error;
      }
    };
    if (readError === undefined || !isRefusal(reply, hop)) return judge();
    return readShortBody(reply.body, MAX_ERROR_BYTES, lifetime).then((body) => judge(readError(reply.status, body)));
  };

  /** Returns the hop to follow. Throws if the rules or the request follow no redirect. */
  const redirected = (
    hops: readonly [Hop, ...Hop[]],
    location: string | undefined,
    { status, headers }: Reply,
    { followsRedirects }: OriginRequest,
  ) => {
    const { url } = hops.at(-1) ?? hops[0];
    rules.refuseRedirect?.(url, headers);
    const next = nextHop(hops, location, options.allowPrivate);
    if (followsRedirects) return next;
    if (rules.isQuerySecret === true) {
      const message = `Cannot pass on the redirect of "${url}": the origin is private, and it may repeat a credential`;
      throw new HuiyuanError("origin_redirect", message);
    }
    throw new HuiyuanError("origin_moved", `Cannot fetch "${url}": it has moved, redirects are passed to clients`, {
      originStatus: status,
      location: next.origin + next.target,
    });
  };

  /** Field by field: spreading and then adding costs V8 microseconds and kilobytes. */
  const answerOf = (facts: AnswerFacts, { url }: Hop, reply: Reply, headMs: number, { maxBytes }: OriginRequest) => {
    const { size, framing, etag, lastModified, life, headers, coding } = facts;
    const digests = rules.digests === undefined ? facts.digests : { ...rules.digests(reply.headers), ...facts.digests };
    const isNotModified = false as const;
    const { desync } = reply.body;
    const body =
      coding === undefined ? reply.body : new DecodedBody(reply.body, { coding, maxBytes, digests, windows, url });
    return { isNotModified, url, size, framing, digests, etag, lastModified, life, headers, headMs, body, desync };
  };

  /** Sends the request, follows redirects and retries once, up to a reply that is none of these. */
  const fetchAnswer = async (
    initial: OriginRequest,
    lifetime: Lifetime,
  ): Promise<OriginAnswer | NotModified | undefined> => {
    const startedAt = performance.now();
    let hop = homeHop(home, rules.target(initial));
    const hops: [Hop, ...Hop[]] = [hop];
    let request = initial;
    let hasRetried = false;
    /** Retries after the first failure that another dial may cure. */
    const retry = (error: unknown) => {
      if (hasRetried || !isWorthRetrying(error)) throw error;
      hasRetried = true;
      options.onRetry?.();
      log.debug({ origin: id, url: hop.url, err: error }, "origin: retrying once");
      return send(hop, request, lifetime);
    };
    for (;;) {
      const reply = await send(hop, request, lifetime).catch(retry);
      if (reply.status === 404 && request.method === "HEAD" && rules.readError !== undefined && hop.isHome) {
        reply.body.discard();
        request = { ...request, method: "GET" };
        continue;
      }
      const verdict = await assess(reply, hop, request, lifetime);
      const headMs = performance.now() - startedAt;
      if (verdict.kind === "answer") return answerOf(verdict.facts, hop, reply, headMs, request);
      reply.body.discard();
      if (verdict.kind === "absent") return undefined;
      if (verdict.kind === "not-modified") {
        if (request.unless === undefined || confirmsVersion(request.unless, verdict.facts))
          return { isNotModified: true, ...verdict.facts, headMs };
        // A 304 about another version tells nothing about this one, so the request is repeated without conditions.
        request = { ...request, unless: undefined };
        continue;
      }
      hop = redirected(hops, verdict.location, reply, request);
      hops.push(hop);
    }
  };

  return {
    id,
    fetch(request) {
      if (shared?.signal !== request.signal) shared = shareSignal(request.signal);
      const lifetime = new Lifetime(shared, timeouts.total, () => {
        const message = `Cannot fetch "${request.key}" from ${home.origin}: not done in ${timeouts.total} ms`;
        return new HuiyuanError("origin_timeout", message);
      });
      return fetchAnswer(request, lifetime).then(
        (answer) => {
          if (answer?.isNotModified === false) void answer.body.over.then(() => lifetime.end());
          else lifetime.end();
          return answer;
        },
        (error: unknown) => {
          lifetime.end();
          throw error;
        },
      );
    },
    preview: async (request) => [await previewRequest(rules, requestHead, request)],
    close: dialer.close,
  };
}

/** A 4xx of the configured host itself, or a 6xx of Qiniu's, whose body may tell what it means. */
function isRefusal({ status }: Reply, hop: Hop): boolean {
  return status >= 400 && (status < 500 || status >= 600) && hop.isHome;
}

function isWorthRetrying(error: unknown): boolean {
  return error instanceof HuiyuanError && (error.code === "origin_refused" || error.code === "origin_reset");
}
