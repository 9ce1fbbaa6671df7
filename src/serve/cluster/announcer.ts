// Tells the other nodes of this node's changes, and waits until they know them. A change that cannot be told is noted
// in a file, so that also after a crash the other nodes are told to compare everything.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { removeFile, writeSyncedFile } from "../../core/files.ts";
import type { Log } from "../../core/log.ts";
import type { Confirmation } from "../bucket/contract/coordination.ts";
import { NO_POSITION, TRUST_MS } from "./follower.ts";
import type { ValkeySession } from "./valkey.ts";

export interface AnnouncerOptions {
  readonly instance: string;
  readonly session: () => ValkeySession | undefined;
  /** The entry of the stream that this node has followed last, and since when it follows, as ticks. */
  readonly followed: () => { readonly position: string; readonly since: number };
  /** The file that notes a change which could not be told. */
  readonly untoldPath: string;
  readonly log: Log;
  /** As performance.now(). */
  readonly ticks: () => number;
}

/** The text by which a node is seen has the position up to which it has followed. */
export interface FollowedTo {
  readonly instance: string;
  readonly position: string;
}

export interface Announcer {
  announce(bucketId: string, key: string): void;
  confirmed(): Promise<Confirmation>;
  /** Tells what could not be told. Throws if Valkey does not answer. */
  tellUntold(session: ValkeySession): Promise<void>;
}

const POLL_MS = 4;
/** Without a message every node compares its copies: after a minute on its disk, a look-up, and a minute in memory. */
const COMPARED_WITHIN_MS = 130_000;

export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const { instance, session, followed, untoldPath, log, ticks } = options;
  const telling = new Set<Promise<void>>();
  /** Changes that could not be told. */
  let untold = existsSync(untoldPath) ? 1 : 0;
  /** The changes of the file, one after the other. */
  let noting: Promise<void> = Promise.resolve();
  let last = { position: NO_POSITION, at: Number.NEGATIVE_INFINITY, isListed: true };

  async function tell(bucketId: string, key: string): Promise<void> {
    try {
      const current = session();
      if (current === undefined) throw new Error("Valkey does not answer");
      const { position: followedTo, since } = followed();
      const { position, isWhole } = await current.append(instance, { kind: "key", bucketId, key }, followedTo);
      // A node that has not noticed yet that Valkey was emptied is not listed, and believes its copies a second more.
      const isListed = isWhole && ticks() - since >= TRUST_MS;
      // Answers come in order. A Valkey that was emptied may count from an earlier time.
      last = { position, at: ticks(), isListed };
    } catch (error) {
      log.debug({ bucket: bucketId, key, err: error }, "cannot tell the other nodes of a change");
      await noteUntold();
    }
  }

  function noteUntold(): Promise<void> {
    untold += 1;
    const text = Buffer.from("The other nodes must compare their copies.\n");
    return untold > 1 ? noting : changeFile(() => writeSyncedFile(untoldPath, text));
  }

  function changeFile(change: () => Promise<void>): Promise<void> {
    noting = noting
      .then(change)
      .catch((error: unknown) => log.error({ err: error }, "cannot note whether a change could not be told"));
    return noting;
  }

  /** The nodes that are alive. Undefined: it cannot be known whether all of them know the change. */
  async function nodesAt(position: string): Promise<readonly FollowedTo[] | undefined> {
    try {
      const found = await session()?.nodes(position);
      return found?.hasPosition === true ? found.texts.map((text) => JSON.parse(text) as FollowedTo) : undefined;
    } catch {
      return undefined;
    }
  }

  return {
    announce(bucketId, key) {
      const told = tell(bucketId, key).finally(() => telling.delete(told));
      telling.add(told);
    },
    async confirmed() {
      await Promise.all(telling);
      const { position, at, isListed } = last;
      for (;;) {
        const isUntold = untold > 0;
        const nodes = isUntold ? undefined : await nodesAt(position);
        const others = nodes?.filter((node) => node.instance !== instance) ?? [];
        const behind = others.filter((node) => isBefore(node.position, position));
        const count = { confirmed: 1 + others.length - behind.length, nodes: 1 + others.length };
        if (isUntold) return { ...count, othersWithinMs: COMPARED_WITHIN_MS };
        if (nodes !== undefined && isListed && behind.length === 0) return { ...count, othersWithinMs: 0 };
        // By now a node has followed, or believes nothing that it keeps.
        if (ticks() - at >= TRUST_MS) return { ...count, othersWithinMs: 0 };
        await delay(POLL_MS);
      }
    },
    async tellUntold(current) {
      while (untold > 0) {
        const told = untold;
        await current.append(instance, { kind: "all" }, followed().position);
        if (untold > told) continue;
        untold = 0;
        await changeFile(() => removeFile(untoldPath));
      }
    },
  };
}

/** Positions are `<milliseconds>-<number>`. */
function isBefore(one: string, other: string): boolean {
  const [[ms = 0, sequence = 0], [otherMs = 0, otherSequence = 0]] = [one, other].map((each) =>
    each.split("-").map(Number),
  ) as [number[], number[]];
  return ms === otherMs ? sequence < otherSequence : ms < otherMs;
}
