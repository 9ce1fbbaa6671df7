// The pending writes of one bucket: at most one whole image for each key, from the end of its fetch until it is stored.
// The one requested last wins. Pending images count as stored: they are served, also stale if the origin fails, and
// are given up if the origin withdraws them. It writes nothing.
import { LiveMap } from "../../../async/live-map.ts";
import type { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { Fill } from "../fill/fill.ts";
import type { Withdrawal } from "../policy.ts";

/** One request to the origin, until its image is stored or given up. */
export interface TrackedFetch {
  readonly key: Key;
  /** Higher for a fetch that began later. */
  readonly order: number;
  /** Set once the answer to a later request has withdrawn the image. */
  withdrawn: Withdrawal | undefined;
}

/** A pending image that can be served. */
export interface ServableWrite {
  readonly info: ObjectInfo;
  readonly fill: Fill;
}

export interface PendingWrite {
  readonly info: ObjectInfo;
  /** The key's epoch when the fetch began. */
  readonly epoch: number;
  readonly fetch: TrackedFetch;
  /** Undefined: the image is served only once it is stored, because it is damaged, or an earlier run fetched it. */
  readonly fill: Fill | undefined;
  /** Writes it now, after the write of the key that runs. Resolves with the reason of a failure; never rejects. */
  tryNow(): Promise<HuiyuanError | undefined>;
  /** It has left the table: removes its recovery file and ends its wait for a retry. */
  giveUp(): void;
}

/** The table of one bucket, for all its mirrors. */
export interface PendingWrites {
  /** Call it before a request to the origin, and end() after its image was stored or given up. */
  begin(key: Key): TrackedFetch;
  end(fetch: TrackedFetch): void;
  /** The answer to `by` withdraws the images of all earlier fetches of the key, also of those that still run. */
  withdraw(by: TrackedFetch, withdrawal: Withdrawal): void;
  /** False: the image was withdrawn, or one that was requested later is pending. An earlier one is given up. */
  add(write: PendingWrite): boolean;
  has(write: PendingWrite): boolean;
  /** Call it once the image is stored, or is given up. */
  remove(write: PendingWrite): void;
  /** Gives up the pending write of the key. */
  drop(key: Key): void;
  find(key: Key): PendingWrite | undefined;
  /** The pending image of a key, unless it was requested before the last delete, purge or upload of the key. */
  newest(at: { readonly key: Key; readonly epoch: number }): ServableWrite | undefined;
  /** The number of pending writes. */
  readonly size: number;
}

export function createPendingWrites(): PendingWrites {
  const fetches = new LiveMap<Key, readonly TrackedFetch[]>();
  const pending = new LiveMap<Key, PendingWrite>();
  let begun = 0;

  const has = (write: PendingWrite) => pending.get(write.info.key) === write;

  function drop(key: Key): void {
    const write = pending.get(key);
    pending.delete(key);
    write?.giveUp();
  }

  return {
    begin(key) {
      begun += 1;
      const fetch: TrackedFetch = { key, order: begun, withdrawn: undefined };
      const others = fetches.get(key);
      fetches.set(key, others === undefined ? [fetch] : [...others, fetch]);
      return fetch;
    },
    end(fetch) {
      const others = fetches.get(fetch.key)?.filter((other) => other !== fetch) ?? [];
      if (others.length === 0) fetches.delete(fetch.key);
      else fetches.set(fetch.key, others);
    },
    withdraw({ key, order }, withdrawal) {
      for (const fetch of fetches.get(key) ?? []) if (fetch.order < order) fetch.withdrawn = withdrawal;
      if (pending.get(key)?.fetch.withdrawn !== undefined) drop(key);
    },
    add(write) {
      const { info, fetch } = write;
      const other = pending.get(info.key);
      if (fetch.withdrawn !== undefined) return false;
      if (other !== undefined && (info.isSuspect || isEarlier(write, other))) return false;
      pending.set(info.key, write);
      other?.giveUp();
      return true;
    },
    has,
    remove(write) {
      if (has(write)) pending.delete(write.info.key);
    },
    drop,
    find: (key) => pending.get(key),
    newest({ key, epoch }) {
      const write = pending.get(key);
      return write?.fill !== undefined && write.epoch >= epoch ? { info: write.info, fill: write.fill } : undefined;
    },
    get size() {
      return pending.size;
    },
  };
}

/** The epoch counts first: a body of an earlier epoch can no longer be stored. */
function isEarlier(one: PendingWrite, other: PendingWrite): boolean {
  return one.epoch === other.epoch ? one.fetch.order < other.fetch.order : one.epoch < other.epoch;
}
