// Limits how fast one client may send requests and start renders (`limits.perClient`). It knows no routes: callers say
// what counts.
import { LRUCache } from "lru-cache";
import { HuiyuanError } from "../../../core/errors.ts";
import { addressOf, type ClientRequest, clientOfAddress } from "./client-address.ts";
import { memoize } from "./memoize.ts";

export type ClientLimit = "requests" | "renders";

export interface ClientLimits {
  /** Counts a request of its client. Throws rate_limited, and counts nothing then. */
  countRequest(request: ClientRequest): void;
  /** Counts a render that the request starts. Throws rate_limited, and counts nothing then. */
  countRender(request: ClientRequest): void;
}

export interface ClientLimitOptions {
  /** 0: not limited. */
  readonly requestsPerSecond: number;
  /** 0: not limited. */
  readonly rendersPerSecond: number;
  /** The seconds of a rate that a client may use at once, after a pause; at least one request or render. */
  readonly burst: number;
  /** Addresses or CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Called for each refusal. `client`: an address or `<prefix>::/64`. */
  readonly limited: (limit: ClientLimit, client: string) => void;
  /** Milliseconds of a monotonic clock. */
  readonly ticks?: () => number;
}

/**
 * Clients that each limit remembers. Beyond it the one that was seen longest ago is forgotten, which can only give it a
 * new burst: a client without an entry has used nothing.
 */
const MAX_CLIENTS = 65_536;
/** The error of floating-point sums. Milliseconds. */
const TOLERANCE_MS = 0.001;

/** Undefined if nothing is limited. */
export function createClientLimits(options: ClientLimitOptions): ClientLimits | undefined {
  const { requestsPerSecond, rendersPerSecond, burst, trustedProxies, limited } = options;
  if (requestsPerSecond === 0 && rendersPerSecond === 0) return undefined;
  const { ticks = () => performance.now() } = options;

  const clientOf = memoize((text) => {
    const [address = "", forwarded] = text.split("\n");
    return clientOfAddress(
      addressOf({ socket: { remoteAddress: address }, headers: { "x-forwarded-for": forwarded } }, trustedProxies),
    );
  });
  // Without a trusted proxy the header means nothing, and clients may write a new one each time.
  const forwardedOf = (headers: ClientRequest["headers"]) =>
    trustedProxies.length === 0 ? "" : `\n${headers["x-forwarded-for"] ?? ""}`;

  function createCounter(limit: ClientLimit, perSecond: number): (request: ClientRequest) => void {
    if (perSecond === 0) return () => undefined;
    const wait = createRate(perSecond, burst);
    return ({ socket, headers }) => {
      const client = clientOf(`${socket.remoteAddress ?? ""}${forwardedOf(headers)}`);
      const waitMs = wait(client, ticks());
      if (waitMs === 0) return;
      limited(limit, client);
      throw new HuiyuanError("rate_limited", `Cannot serve: the client exceeds ${perSecond} ${limit} a second`, {
        retryAfterSeconds: Math.ceil(waitMs / 1_000),
      });
    };
  }

  return {
    countRequest: createCounter("requests", requestsPerSecond),
    countRender: createCounter("renders", rendersPerSecond),
  };
}

/**
 * The generic cell rate algorithm (ITU-T I.371): one number a client, the time until which its use is paid for. Returns
 * the milliseconds that the client has to wait; 0: the use was counted.
 */
function createRate(perSecond: number, burst: number): (client: string, now: number) => number {
  const stepMs = 1_000 / perSecond;
  const aheadMs = Math.max(stepMs, burst * 1_000);
  const paidUntil = new LRUCache<string, number>({ max: MAX_CLIENTS });
  return (client, now) => {
    const next = Math.max(paidUntil.get(client) ?? 0, now) + stepMs;
    const waitMs = next - now - aheadMs;
    if (waitMs > TOLERANCE_MS) return waitMs;
    paidUntil.set(client, next);
    return 0;
  };
}
