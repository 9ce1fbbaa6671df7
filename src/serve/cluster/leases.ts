// The leases of fetches in Valkey: of all nodes one fetches a key. Any trouble with a lease means: fetch. So two nodes
// may fetch the same key, which costs the origin a request and nothing else.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { LiveMap } from "../../async/live-map.ts";
import type { Key } from "../../core/object.ts";
import type { FetchOutcome, FillLease, FillLeases } from "../mirror/fill/lease.ts";
import { LEASE_MS, nameOfLease, type ValkeySession } from "./valkey.ts";

export interface LeasesOptions {
  /** Undefined: fetch without a lease. */
  readonly session: () => ValkeySession | undefined;
  /** True: the remote store gets no images now, so waiting for one is useless. */
  readonly isStoreDown: () => boolean;
  /** As performance.now(). */
  readonly ticks: () => number;
}

export interface Leases extends FillLeases {
  /** The remote store has the image. */
  arrived(bucketId: string, key: Key): void;
}

const RENEW_MS = LEASE_MS / 3;
/** A fetch lasts longer than any lease should: others may then fetch too. */
const MAX_HELD_MS = 60_000;
/** Nobody waits longer for an image that is on its way to the remote store. */
const MAX_ARRIVING_MS = 5_000;
const MAX_HEEDED = 1_000;
const FIRST_POLL_MS = 10;
const LAST_POLL_MS = 100;

export function createLeases({ session, isStoreDown, ticks }: LeasesOptions): Leases {
  const held = new LiveMap<string, FillLease>();
  /** The token of the last outcome of a key that this node has heeded, or has had itself. */
  const heeded = new LRUCache<string, string>({ max: MAX_HEEDED });

  function hold(name: string, token: string): FillLease {
    let until = ticks() + MAX_HELD_MS;
    const renewing = setInterval(() => {
      if (ticks() > until) return stop();
      void session()
        ?.renew(name, token)
        .catch(() => {});
    }, RENEW_MS).unref();
    const stop = () => {
      clearInterval(renewing);
      if (held.get(name) === lease) held.delete(name);
    };
    const lease: FillLease = {
      end(outcome) {
        if (held.get(name) !== lease) return;
        stop();
        heeded.set(name, token);
        const text = JSON.stringify({ token, outcome });
        void session()
          ?.release(name, text)
          .catch(() => {});
      },
      settled() {
        until = ticks() + MAX_ARRIVING_MS;
      },
    };
    held.set(name, lease);
    return lease;
  }

  /**
   * The outcome of the node that was seen with the lease. Without a wait only `stored` counts, and once: the image may
   * have been stored since the caller has looked it up.
   */
  function newsIn(name: string, text: string | undefined, other: string | undefined): FetchOutcome | undefined {
    if (text === undefined) return undefined;
    const { token, outcome } = JSON.parse(text) as { readonly token: string; readonly outcome: FetchOutcome };
    if (token !== other && (outcome.kind !== "stored" || heeded.get(name) === token)) return undefined;
    heeded.set(name, token);
    return outcome;
  }

  /** `other`: the token that was seen with the lease. */
  async function tryOnce(name: string, token: string, { current, other }: Attempt) {
    const [isTaken, seen] = await Promise.all([current.acquire(name, token), current.watch(name)]);
    const news = newsIn(name, seen.outcome, other);
    if (isTaken && news !== undefined && seen.outcome !== undefined) await current.release(name, seen.outcome);
    return { taken: news ?? (isTaken ? hold(name, token) : undefined), other: seen.token };
  }

  async function takeOrWait(name: string, waitMs: number): Promise<FillLease | FetchOutcome | undefined> {
    const token = randomUUID();
    const until = ticks() + waitMs;
    let other: string | undefined;
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(LAST_POLL_MS, pollMs * 1.5)) {
      const current = session();
      if (current === undefined || isStoreDown()) return undefined;
      const attempt = await tryOnce(name, token, { current, other });
      if (attempt.taken !== undefined || ticks() >= until) return attempt.taken;
      other = attempt.other;
      await delay(Math.min(pollMs, Math.max(1, until - ticks())));
    }
  }

  return {
    take: (bucketId, key, waitMs) => takeOrWait(nameOfLease(bucketId, key), waitMs).catch(() => undefined),
    arrived: (bucketId, key) => held.get(nameOfLease(bucketId, key))?.end({ kind: "stored" }),
  };
}

interface Attempt {
  readonly current: ValkeySession;
  readonly other: string | undefined;
}
