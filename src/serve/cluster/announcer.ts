// Tells the other nodes of this node's changes, and waits until they know them. A change that cannot be told is noted
// in a file, so that also after a crash the other nodes are told to compare everything.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { removeFile, writeSyncedFile } from "../../core/files.ts";
import type { Log } from "../../core/log.ts";
import type { Confirmation } from "../bucket/contract/coordination.ts";
import { TRUST_MS } from "./follower.ts";
import type { ValkeySession } from "./valkey.ts";

export interface AnnouncerOptions {
  readonly instance: string;
  readonly session: () => ValkeySession | undefined;
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
  readonly isUntold: boolean;
}

const POLL_MS = 4;
/** Without a message every node compares its copies after a minute in memory and another one on its disk. */
const COMPARED_WITHIN_MS = 120_000;

export function createAnnouncer({ instance, session, untoldPath, log, ticks }: AnnouncerOptions): Announcer {
  const telling = new Set<Promise<void>>();
  let isUntold = existsSync(untoldPath);
  let noting: Promise<void> | undefined;
  let last = { position: "0-0", at: Number.NEGATIVE_INFINITY };

  async function tell(bucketId: string, key: string): Promise<void> {
    try {
      const current = session();
      if (current === undefined) throw new Error("Valkey does not answer");
      const position = await current.append(instance, { kind: "key", bucketId, key });
      if (isBefore(last.position, position)) last = { position, at: ticks() };
    } catch (error) {
      log.debug({ bucket: bucketId, key, err: error }, "cannot tell the other nodes of a change");
      await noteUntold();
    }
  }

  function noteUntold(): Promise<void> {
    isUntold = true;
    noting ??= writeSyncedFile(untoldPath, Buffer.from("The other nodes must compare their copies.\n")).catch(
      (error: unknown) => log.error({ err: error }, "cannot note that a change could not be told"),
    );
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
    get isUntold() {
      return isUntold;
    },
    announce(bucketId, key) {
      const told = tell(bucketId, key).finally(() => telling.delete(told));
      telling.add(told);
    },
    async confirmed() {
      await Promise.all(telling);
      const { position, at } = last;
      for (;;) {
        const nodes = isUntold ? undefined : await nodesAt(position);
        const others = nodes?.filter((node) => node.instance !== instance) ?? [];
        const behind = others.filter((node) => isBefore(node.position, position));
        const count = { confirmed: 1 + others.length - behind.length, nodes: 1 + others.length };
        if (isUntold) return { ...count, othersWithinMs: COMPARED_WITHIN_MS };
        if (nodes !== undefined && behind.length === 0) return { ...count, othersWithinMs: 0 };
        // By now a node has followed, or believes nothing that it keeps.
        if (ticks() - at >= TRUST_MS) return { ...count, othersWithinMs: 0 };
        await delay(POLL_MS);
      }
    },
    async tellUntold(current) {
      if (!isUntold) return;
      await current.append(instance, { kind: "all" });
      await noting;
      await removeFile(untoldPath);
      noting = undefined;
      isUntold = false;
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
