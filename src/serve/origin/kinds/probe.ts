// Single requests to examine an origin: built, dialled, redirected and judged by the mirror's own rules, but without
// retry, sharing or storing. It does not interpret the results for operators.
import { createHash } from "node:crypto";
import { TLSSocket } from "node:tls";
import { shareSignal } from "../../../async/cancellation.ts";
import { classifyAddress } from "../../../core/addresses.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import type { ImageFacts, Key } from "../../../core/object.ts";
import { createGate, type Framing } from "../../body/gate/gate.ts";
import { connectGuarded } from "../dial/connect.ts";
import { createDialer } from "../dial/dialer.ts";
import { createSystemResolve } from "../dial/lookup.ts";
import { DecodedBody } from "../exchange/decoded-body.ts";
import { Exchange, type Reply } from "../exchange/exchange.ts";
import { type Hop, homeHop, isServer, nextHop, REDIRECT_STATUSES } from "../exchange/hop.ts";
import { Lifetime } from "../exchange/lifetime.ts";
import { createRequestHead, withHeaders } from "../exchange/request-head.ts";
import { assessHead, codingOf, framingOf, type RawHeaders } from "../exchange/response-head.ts";
import type { OriginBody } from "../origin.ts";
import type { HttpOriginOptions } from "./http-origin.ts";
import { type HttpOriginRules, signHeaders } from "./http-rules.ts";

export interface ProbeOptions
  extends Pick<
    HttpOriginOptions,
    "allowPrivate" | "timeouts" | "userAgent" | "serverId" | "resolve" | "ca" | "classify"
  > {
  /** Bytes of one body. */
  readonly maxBytes: number;
  /** Bytes of `beginning`; 2 MB by default. */
  readonly keptBytes?: number;
  /** Bytes of all bodies together; beyond it requests fail as overloaded. */
  readonly maxTotalBytes: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export interface ProbeRequest {
  readonly method: "GET" | "HEAD";
  /** Path and query at the origin, percent-encoded. */
  readonly target: string;
  /** Lower-case names; they replace the mirror's own. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The mirror's verdict on a response. `suspect`: sent to clients but not stored. */
export type ProbeVerdict = "whole" | "suspect" | "absent" | "not-modified" | ErrorCode;

export interface ProbeReply {
  /** All requests of the redirect chain, without queries; this reply describes the last one's response. */
  readonly hops: readonly { readonly url: string; readonly status: number }[];
  readonly status: number;
  readonly headers: RawHeaders;
  readonly framing: Framing;
  readonly verdict: ProbeVerdict;
  /** Details, if the verdict is a code. Names the origin's host. */
  readonly message: string | undefined;
  readonly image: ImageFacts | undefined;
  /** Bytes received. */
  readonly bytes: number;
  readonly sha256: string;
  /** At most `keptBytes` of the body. */
  readonly beginning: Buffer;
  /** Milliseconds to the last head, including redirects, and from there to the end. */
  readonly headMs: number;
  readonly bodyMs: number;
  /** True if no connection had to be dialled. */
  readonly isReused: boolean;
}

export interface ProbedConnection {
  readonly address: string;
  /** Milliseconds for name, TCP and TLS. */
  readonly milliseconds: number;
  readonly tls: { readonly protocol: string; readonly issuer: string; readonly validTo: number } | undefined;
}

export interface Probe {
  /** The target that the mirror requests for a key. */
  target(path: Key, query: string): string;
  /** A target that no key has, such as a path in GBK; percent-encoded, with a leading slash. */
  rawTarget(path: string): string;
  /** Throws the codes of connectGuarded(). */
  connect(): Promise<ProbedConnection>;
  /** Throws if no head arrives, with the codes of Origin.fetch. A faulty response is reported by its verdict. */
  ask(request: ProbeRequest): Promise<ProbeReply>;
  close(): Promise<void>;
}

const BEGINNING_BYTES = 2_000_000;

/** Throws settings_invalid for rules that cannot work. */
export function createProbe(options: ProbeOptions, rules: HttpOriginRules): Probe {
  const { timeouts, signal, classify: classifyRule = classifyAddress, resolve = createSystemResolve(), ca } = options;
  const { home } = rules;
  const requestHead = createRequestHead({ ...rules.head, userAgent: options.userAgent, serverId: options.serverId });
  const allowPrivate = (hostname: string, port: number) =>
    options.allowPrivate && isServer(home.endpoint, hostname, port);
  let dials = 0;
  // The guard classifies an address whenever it dials one.
  const classify = (address: string) => {
    dials += 1;
    return classifyRule(address);
  };
  const connectTimeoutMs = timeouts.connect;
  const dialer = createDialer({ allowPrivate, resolve, classify, connectTimeoutMs, connections: 4, ca });
  const stop = shareSignal(signal);
  let remainingBytes = options.maxTotalBytes;

  async function send(hop: Hop, request: ProbeRequest, lifetime: Lifetime): Promise<Reply> {
    const head = requestHead({ via: undefined, cdnLoop: undefined }, hop.isHome);
    const headers = withHeaders(await signHeaders(rules, head, request.method, hop), request.headers ?? {});
    const maxBytes = Math.min(options.maxBytes, remainingBytes);
    if (maxBytes <= 0)
      throw new HuiyuanError("overloaded", "Cannot send another request: the limit of all bodies is reached");
    const { method } = request;
    const sent = { method, hop, headers, timeouts, maxBytes, lifetime };
    return new Exchange(dialer.dispatcher(hop.endpoint), sent).reply;
  }

  /** Follows redirects as the mirror does. */
  async function followRedirects(request: ProbeRequest, lifetime: Lifetime) {
    const first = homeHop(home, request.target);
    const hops: [Hop, ...Hop[]] = [first];
    const visited: { url: string; status: number }[] = [];
    for (;;) {
      const hop = hops.at(-1) ?? first;
      const reply = await send(hop, request, lifetime);
      visited.push({ url: hop.url, status: reply.status });
      if (!REDIRECT_STATUSES.has(reply.status)) return { hop, reply, visited };
      const { location } = reply.headers;
      try {
        rules.refuseRedirect?.(hop.url, reply.headers);
        const to = typeof location === "object" ? location[0] : location;
        hops.push(nextHop(hops, to, options.allowPrivate));
      } catch (error) {
        return { hop, reply, visited, refusal: asHuiyuanError(error) };
      }
      reply.body.discard();
    }
  }

  function assess(reply: Reply, body: ReadBody, { hop, request }: { hop: Hop; request: ProbeRequest }) {
    const { status, headers } = reply;
    const isRefusal = status >= 400 && status < 500 && hop.isHome;
    const meaning = isRefusal
      ? rules.readError?.(status, body.failure ? undefined : body.beginning.toString("utf8"))
      : undefined;
    const isConditional = Object.keys(request.headers ?? {}).some((name) => name.startsWith("if-"));
    const verdict = assessHead(
      { status, headers },
      { maxBytes: options.maxBytes, label: hop.url, now: Date.now(), isConditional, meaning },
    );
    if (verdict.kind === "absent" || verdict.kind === "not-modified") return verdict.kind;
    if (verdict.kind === "redirect" || request.method === "HEAD") return "whole";
    if (body.failure !== undefined) throw body.failure;
    const { framing, digests, coding } = verdict.facts;
    // The digest may be of the coded bytes.
    const isHashRight = digests.md5 === undefined || coding !== undefined || digests.md5.equals(body.md5);
    const gated = body.gate.verdict({ framing, isFramingWhole: true, isHashRight });
    return gated.kind === "broken" ? gated.code : gated.kind;
  }

  /** The body as the mirror would store it. Error pages and bodies in an unknown coding stay as they are. */
  function decoded({ status, headers, body }: Reply, { url }: Hop): OriginBody {
    const coding = status === 200 ? codingOf(headers) : undefined;
    if (coding === undefined || coding === "unknown") return body;
    return new DecodedBody(body, { coding, maxBytes: options.maxBytes, digests: {}, windows: { bytes: 0 }, url });
  }

  async function probeOnce(request: ProbeRequest, lifetime: Lifetime): Promise<ProbeReply> {
    const before = dials;
    const startedAt = performance.now();
    const { hop, reply, visited, refusal } = await followRedirects(request, lifetime);
    const headAt = performance.now();
    const body = await readBody(decoded(reply, hop), options.keptBytes ?? BEGINNING_BYTES);
    remainingBytes -= body.bytes;
    const found = outcomeOf(() => {
      if (refusal !== undefined) throw refusal;
      return assess(reply, body, { hop, request });
    });
    return {
      hops: visited,
      status: reply.status,
      headers: reply.headers,
      framing: framingOf(reply.headers),
      ...found,
      image: body.gate.image,
      bytes: body.bytes,
      sha256: body.sha256,
      beginning: body.beginning,
      headMs: headAt - startedAt,
      bodyMs: performance.now() - headAt,
      isReused: dials === before,
    };
  }

  return {
    target: (path, query) => rules.target({ path, query }),
    rawTarget: (path) => home.basePath + path,
    async connect() {
      const startedAt = performance.now();
      const socket = await connectGuarded(home.endpoint, {
        ...{ resolve, classify: classifyRule, allowPrivate, timeoutMs: timeouts.connect, ca, session: undefined },
        onSession() {},
      });
      const milliseconds = performance.now() - startedAt;
      const tls = socket instanceof TLSSocket ? tlsFacts(socket) : undefined;
      const address = socket.remoteAddress ?? "";
      socket.destroy();
      return { address, milliseconds, tls };
    },
    async ask(request) {
      const lifetime = new Lifetime(stop, timeouts.total, () => {
        return new HuiyuanError("origin_timeout", `Cannot fetch "${request.target}": not done in ${timeouts.total} ms`);
      });
      try {
        return await probeOnce(request, lifetime);
      } finally {
        lifetime.end();
      }
    },
    close: () => dialer.close(),
  };
}

function tlsFacts(socket: TLSSocket): ProbedConnection["tls"] {
  const { issuer, valid_to } = socket.getPeerCertificate();
  return {
    protocol: socket.getProtocol() ?? "unknown",
    issuer: String(issuer?.O ?? issuer?.CN ?? "unknown"),
    validTo: Date.parse(valid_to),
  };
}

function outcomeOf(assess: () => ProbeVerdict): Pick<ProbeReply, "verdict" | "message"> {
  try {
    return { verdict: assess(), message: undefined };
  } catch (error) {
    const { code, message } = asHuiyuanError(error);
    return { verdict: code, message };
  }
}

interface ReadBody {
  readonly bytes: number;
  readonly sha256: string;
  readonly md5: Buffer;
  readonly beginning: Buffer;
  readonly gate: ReturnType<typeof createGate>;
  /** The reason why the body did not end as its framing says. */
  readonly failure: Error | undefined;
}

function readBody(body: OriginBody, keptBytes: number): Promise<ReadBody> {
  return new Promise((resolve) => {
    const gate = createGate();
    const [sha256, md5] = [createHash("sha256"), createHash("md5")];
    const chunks: Buffer[] = [];
    let bytes = 0;
    const done = (failure: Error | undefined) => {
      const beginning = Buffer.concat(chunks).subarray(0, keptBytes);
      resolve({ bytes, sha256: sha256.digest("hex"), md5: md5.digest(), beginning, gate, failure });
    };
    body.start({
      data(chunk) {
        if (bytes < keptBytes) chunks.push(chunk);
        bytes += chunk.length;
        gate.push(chunk);
        sha256.update(chunk);
        md5.update(chunk);
        return true;
      },
      end: () => done(undefined),
      error: done,
    });
  });
}
