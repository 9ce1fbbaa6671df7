// Decides whether the object that this disk has may be served, and compares it with the remote store otherwise. One
// server alone compares in the background. With other nodes, an object that is not believed is compared first.
import { LRUCache } from "lru-cache";
import { withTimeout } from "../../../async/cancellation.ts";
import { LiveMap } from "../../../async/live-map.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { Entry } from "../contract/driver.ts";
import type { RemoteEntry } from "../remote/remote.ts";
import type { TierContext } from "./context.ts";
import type { CurrentEntries } from "./current-entries.ts";
import { isSameForeign } from "./reading/foreign.ts";

type LocalObject = Extract<Entry, { readonly state: "object" }>;

export interface Comparison {
  /**
   * Compares the object unless it is believed. `compared`: the caller looks it up again. `unknown`: the remote store
   * did not answer; the object may be served, but not kept. Throws store_failed if an outdated one cannot be dropped.
   */
  check(local: LocalObject): Promise<"believed" | Compared>;
  /** The next use compares the object. */
  distrust(key: Key): void;
  /** The remote store had no other object at this time, as ticks. */
  trustPending(key: Key, at: number): void;
}

type Compared = "compared" | "unknown";

/** One server alone serves a copy this long before it compares it again. Milliseconds. */
const FRESH_MS = 60_000;
/** Copies that are compared in the background at the same time. */
const MAX_IN_BACKGROUND = 16;
/** A client waits this long for a comparison; then the remote store counts as away for as long. Milliseconds. */
const COMPARE_MS = 1_000;
/** Bound of the pending objects whose comparison is remembered. */
const MAX_PENDING = 10_000;

export function createComparison(
  { id, remote, edge, isDown, coordination, changed, log, ticks }: TierContext,
  { reconcile, isOvertaken }: Pick<CurrentEntries, "reconcile" | "isOvertaken">,
  withKeyLock: <Result>(key: Key, run: () => Promise<Result>) => Promise<Result>,
): Comparison {
  const pendingCheckedAt = new LRUCache<Key, number>({ max: MAX_PENDING });
  const running = new LiveMap<Key, Promise<Compared>>();
  let awayUntil = Number.NEGATIVE_INFINITY;

  const checkedAt = ({ info: { key }, certainty }: LocalObject) =>
    certainty === undefined ? edge.checkedAt(key) : (pendingCheckedAt.get(key) ?? Number.NEGATIVE_INFINITY);

  async function headInTime(key: Key): Promise<RemoteEntry | undefined> {
    try {
      return await withTimeout(COMPARE_MS, remote.head(key), `Cannot compare "${key}" with the remote store in time`);
    } catch (error) {
      awayUntil = ticks() + COMPARE_MS;
      log.debug({ bucket: id, key, err: error }, "cannot compare an object with the remote store");
      return undefined;
    }
  }

  async function compare({ info, certainty }: LocalObject): Promise<Compared> {
    const { key } = info;
    const at = ticks();
    const found = await headInTime(key);
    if (found === undefined) return "unknown";
    if (certainty !== undefined) {
      if (isOvertaken(info, found)) await withKeyLock(key, () => reconcile(info, found));
      pendingCheckedAt.set(key, at);
    } else if (isSame(info, found)) edge.trust(key, at);
    else await withKeyLock(key, () => dropCopy(info, found));
    return "compared";
  }

  async function dropCopy(info: ObjectInfo, found: RemoteEntry): Promise<void> {
    const { key } = info;
    const local = await edge.driver.lookup(key);
    if (local.state !== "object" || local.info.hashes.sha256 !== info.hashes.sha256) return;
    if (local.certainty !== undefined) return;
    await edge.forget(info);
    changed(key);
    log.info({ bucket: id, key, found: found.state }, "dropped a copy: the object has changed in the remote store");
  }

  /** All requests for a key share one comparison. */
  function compareOnce(local: LocalObject): Promise<Compared> {
    const { key } = local.info;
    const known = running.get(key);
    if (known !== undefined) return known;
    const comparing = compare(local).finally(() => running.delete(key));
    running.set(key, comparing);
    return comparing;
  }

  function compareInBackground(local: LocalObject): void {
    if (isDown() || running.size >= MAX_IN_BACKGROUND) return;
    const { key } = local.info;
    void compareOnce(local).catch((error: unknown) =>
      log.debug({ bucket: id, key, err: error }, "cannot compare a copy with the remote store"),
    );
  }

  return {
    async check(local) {
      const at = checkedAt(local);
      if (at >= coordination.believedSince()) {
        if (local.certainty === undefined && ticks() - at >= FRESH_MS) compareInBackground(local);
        return "believed";
      }
      return isDown() || ticks() < awayUntil ? "unknown" : compareOnce(local);
    },
    distrust(key) {
      edge.distrust(key);
      pendingCheckedAt.delete(key);
    },
    trustPending: (key, at) => void pendingCheckedAt.set(key, at),
  };
}

function isSame(info: ObjectInfo, found: RemoteEntry): boolean {
  if (found.state === "object") return found.info.hashes.sha256 === info.hashes.sha256;
  return found.state === "foreign" && isSameForeign(info, found);
}
