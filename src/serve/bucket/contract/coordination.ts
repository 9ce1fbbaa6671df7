// The coordination of several nodes that share one remote store: what a store and the memory in front of it need of it.
// cluster/ implements it. A server without other nodes uses ALONE.
import type { Key } from "../../../core/object.ts";

/** The number of nodes that know the changes of this node. */
export interface Confirmation {
  /** Nodes that serve the new state, this one included. */
  readonly confirmed: number;
  /** Nodes that are alive, this one included. */
  readonly nodes: number;
  /** The others serve the new state after this time at the latest. Milliseconds; 0 if all have confirmed. */
  readonly othersWithinMs: number;
}

export interface Coordination {
  /** Tells the other nodes that the remote store has another state of the key. Returns at once, and never throws. */
  announce(bucketId: string, key: Key): void;
  /** Resolves once every node serves the announced changes, after a second at the latest. Never rejects. */
  confirmed(): Promise<Confirmation>;
  /** The remote store has an image that this node has fetched: other nodes that wait for it can read it there. */
  arrived(bucketId: string, key: Key): void;
  /** A copy that was compared with the remote store before this time is compared before it is served. As ticks. */
  believedSince(): number;
  /** False: objects in memory may be outdated. */
  isAttached(): boolean;
}

/** One server without other nodes: it believes its copies. */
export const ALONE: Coordination = {
  announce() {},
  confirmed: async () => ({ confirmed: 1, nodes: 1, othersWithinMs: 0 }),
  arrived() {},
  believedSince: () => Number.NEGATIVE_INFINITY,
  isAttached: () => true,
};
