// One node among several on one remote store: follows the changes of the others, tells its own, and shares fetches.
// Valkey may lose everything at any time, because only the remote store decides what exists.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import type { Confirmation, Coordination } from "../bucket/contract/coordination.ts";
import type { FillLeases } from "../mirror/fill/lease.ts";
import { createAnnouncer, type FollowedTo } from "./announcer.ts";
import { NO_POSITION, startFollower } from "./follower.ts";
import { createLeases } from "./leases.ts";
import type { ValkeySession } from "./valkey.ts";

/** The facts that a node shows to the others. */
export interface NodeFacts {
  readonly name: string;
  readonly version: string;
  /** The same on every node, if their settings agree. */
  readonly settings: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Downloads since then. */
  readonly requests: number;
}

export interface ClusterNode extends NodeFacts {
  readonly isSelf: boolean;
  /** The time between the newest change that any node has followed, and the newest one of this node. */
  readonly lagMs: number;
}

/** The copies on this node, which other nodes may make outdated. */
export interface ClusterTarget {
  /** When it returns, nothing is served of the key that was known before. */
  follow(bucketId: string, key: Key): void;
  /** When it returns, nothing is served from memory, and reads that run are not kept. */
  followAll(): void;
  /** True: the remote store does not answer. */
  isStoreDown(): boolean;
}

export interface Cluster {
  readonly coordination: Coordination;
  readonly leases: FillLeases;
  /** The nodes that are alive, by name. Throws store_failed if Valkey does not answer. */
  nodes(): Promise<readonly ClusterNode[]>;
  confirmed(): Promise<Confirmation>;
  /** Messages for the operator; empty in normal operation. */
  notes(): readonly string[];
  /** Begins to follow. Until then the node believes nothing that it keeps. */
  start(target: ClusterTarget): void;
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly connect: () => Promise<ValkeySession>;
  readonly facts: () => NodeFacts;
  /** The data folder of this node. */
  readonly dir: string;
  readonly log: Log;
  /** As performance.now(). */
  readonly ticks?: () => number;
}

/** An attached node compares a copy after this time, in case a message was lost. Milliseconds. */
const COMPARED_EVERY_MS = 60_000;
/** A node that is not attached compares a key at most once in this time. Milliseconds. */
const CONFIRMED_MS = 1_000;

export function createCluster({ connect, facts, dir, log, ticks = () => performance.now() }: ClusterOptions): Cluster {
  const instance = randomUUID();
  let follower: ReturnType<typeof startFollower> | undefined;
  let target: ClusterTarget | undefined;
  const session = () => follower?.session();
  const isAttached = () => follower?.isAttached() ?? false;
  const announcer = createAnnouncer({
    instance,
    session,
    followed: () => ({ position: follower?.position() ?? NO_POSITION, since: follower?.missedBefore() ?? ticks() }),
    untoldPath: join(dir, "untold-changes"),
    log,
    ticks,
  });
  const leases = createLeases({
    session: () => (isAttached() ? session() : undefined),
    isStoreDown: () => target?.isStoreDown() ?? false,
    ticks,
  });

  return {
    leases,
    confirmed: announcer.confirmed,
    coordination: {
      announce: announcer.announce,
      confirmed: announcer.confirmed,
      arrived: leases.arrived,
      believedSince: () =>
        isAttached() ? Math.max(follower?.missedBefore() ?? 0, ticks() - COMPARED_EVERY_MS) : ticks() - CONFIRMED_MS,
      isAttached,
    },
    async nodes() {
      try {
        const current = session();
        const used = current ?? (await connect());
        const { texts } = await used.nodes(NO_POSITION).finally(() => used !== current && used.close());
        return nodesIn(texts, instance);
      } catch (cause) {
        throw new HuiyuanError("store_failed", "Cannot list the nodes: Valkey does not answer", { cause });
      }
    },
    notes() {
      const since = follower?.detachedSince();
      if (since === undefined) return [];
      const seconds = Math.round((ticks() - since) / 1_000);
      const consequence =
        target?.isStoreDown() === true
          ? "S3 does not answer either, so objects are served that other nodes may have changed"
          : "objects are compared with S3 before they are served";
      return [`Valkey has not answered for ${seconds} s: ${consequence}`];
    },
    start(next) {
      target = next;
      follower = startFollower({
        connect,
        instance,
        text: (position) => JSON.stringify({ ...facts(), instance, position }),
        tellUntold: announcer.tellUntold,
        onChange: ({ bucketId, key }) => next.follow(bucketId, key as Key),
        onGap: next.followAll,
        log,
        ticks,
      });
    },
    close: async () => follower?.close(),
  };
}

function nodesIn(texts: readonly string[], instance: string): readonly ClusterNode[] {
  const nodes = texts.map((text) => JSON.parse(text) as NodeFacts & FollowedTo);
  const timeOf = ({ position }: FollowedTo) => Number.parseInt(position, 10);
  const newest = Math.max(...nodes.map(timeOf));
  return nodes
    .map((node) => {
      const { name, version, settings, startedAt, requests } = node;
      return {
        name,
        version,
        settings,
        startedAt,
        requests,
        isSelf: node.instance === instance,
        lagMs: node.position === NO_POSITION ? 0 : newest - timeOf(node),
      };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}
