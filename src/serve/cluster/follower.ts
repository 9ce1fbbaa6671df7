// Follows the stream of changes: keeps a session with Valkey, applies the changes of the other nodes in order, and says
// until when this node may believe what it keeps. It makes no changes known; announcer.ts does.
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../../core/log.ts";
import type { Change, ValkeySession } from "./valkey.ts";

export interface FollowerOptions {
  /** Throws if Valkey does not answer. */
  readonly connect: () => Promise<ValkeySession>;
  /** Names this start of this node. */
  readonly instance: string;
  /** The text by which this node is seen, at a position of the stream. */
  readonly text: (position: string) => string;
  /** Runs before each round: what could not be told is told first. */
  readonly tellUntold: (session: ValkeySession) => Promise<void>;
  /** Another node has changed the key. When it returns, nothing is served that was known before. */
  readonly onChange: (change: Extract<Change, { readonly kind: "key" }>) => void;
  /** Any key may have changed. When it returns, nothing is served from memory. */
  readonly onGap: () => void;
  readonly log: Log;
  /** As performance.now(). */
  readonly ticks: () => number;
}

export interface Follower {
  /** The session in use; undefined while there is none. */
  session(): ValkeySession | undefined;
  /** Whether every change of the other nodes that they have told is known here. */
  isAttached(): boolean;
  /** The last entry that was followed. */
  position(): string;
  /** Changes before this time may have been missed. As ticks. */
  missedBefore(): number;
  /** Since when the node is not attached, as ticks; undefined while it is. */
  detachedSince(): number | undefined;
  close(): Promise<void>;
}

/** Without news of Valkey the node believes what it keeps for so long. Milliseconds. */
export const TRUST_MS = 1_000;
const RETRY_MS = 200;
/** The stream begins after it. */
export const NO_POSITION = "0-0";

export function startFollower(options: FollowerOptions): Follower {
  const { connect, instance, text, tellUntold, onChange, onGap, log, ticks } = options;
  let session: ValkeySession | undefined;
  let serverId: string | undefined;
  let position = NO_POSITION;
  let trustedUntil = Number.NEGATIVE_INFINITY;
  let missedBefore = ticks();
  let endedAt = ticks();
  let isClosed = false;
  let isLogged = false;

  /** From now on the stream shows every change. What is kept from before is compared with the store. */
  async function join(current: ValkeySession): Promise<void> {
    const sentAt = ticks();
    position = await current.join({ instance, text: text(NO_POSITION) });
    forget();
    trustedUntil = sentAt + TRUST_MS;
  }

  function forget(): void {
    missedBefore = ticks();
    onGap();
  }

  function apply(change: Change | undefined): void {
    if (change?.kind === "all") forget();
    else if (change !== undefined) onChange(change);
  }

  async function follow(current: ValkeySession): Promise<never> {
    if (current.serverId !== serverId) await join(current);
    serverId = current.serverId;
    if (isLogged) log.info({}, "Valkey answers again: changes of the other nodes are followed");
    isLogged = false;
    for (;;) {
      await tellUntold(current);
      const sentAt = ticks();
      const round = await current.round(position, { instance, text: text(position) });
      if (!round.isWhole) {
        await join(current);
        continue;
      }
      for (const entry of round.entries) {
        position = entry.position;
        if (entry.instance !== instance) apply(entry.change);
      }
      // Counted from the request: an entry that was appended after it may be missing in the answer.
      if (round.isComplete) trustedUntil = sentAt + TRUST_MS;
    }
  }

  async function run(): Promise<void> {
    while (!isClosed) {
      try {
        session = await connect();
        await follow(session);
      } catch (error) {
        if (!isLogged && !isClosed) log.warn({ err: error }, "Valkey does not answer: objects are compared with S3");
        isLogged = true;
      }
      session?.close();
      session = undefined;
      endedAt = Math.min(ticks(), Math.max(endedAt, trustedUntil));
      if (!isClosed) await delay(RETRY_MS, undefined, { ref: false });
    }
  }

  const isAttached = () => ticks() < trustedUntil;
  const running = run();
  return {
    session: () => session,
    isAttached,
    position: () => position,
    missedBefore: () => missedBefore,
    detachedSince: () => (isAttached() ? undefined : Math.max(endedAt, Math.min(trustedUntil, ticks()))),
    async close() {
      isClosed = true;
      await session?.leave(instance).catch(() => {});
      session?.close();
      await running;
    },
  };
}
