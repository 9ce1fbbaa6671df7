// Looks up entries in the remote store for the rest of the program. An object of another tool is described first.
import { LiveMap } from "../../../async/live-map.ts";
import { asHuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { hasExpired } from "../contract/conditions.ts";
import type { Entry } from "../contract/driver.ts";
import { withReadDeadline } from "../remote/read-deadline.ts";
import type { RemoteEntry } from "../remote/remote.ts";
import type { TierContext } from "./context.ts";
import { createUnusableObjects } from "./reading/damaged.ts";
import { describeForeign, type ForeignEntry } from "./reading/foreign.ts";

export interface LookupsParts {
  /** Called before a read; the returned function stores a copy of what was read. */
  readonly beginCopy: () => (info: ObjectInfo, body: WholeBody) => Promise<void>;
  /** Removes a tombstone from this disk that the remote store no longer has. */
  readonly liftTombstone: (key: Key) => Promise<unknown>;
  /** Ends the running fetches of the key, and returns its new epoch. */
  readonly raiseEpoch: (key: Key) => Promise<number>;
}

/** Larger objects of other tools are not described, because each is downloaded and verified first. */
const MAX_FOREIGN_BYTES = 67_108_864;

export function createLookups(context: TierContext, { beginCopy, liftTombstone, raiseEpoch }: LookupsParts) {
  const { remote, spools, maxCopyBytes, damaged, marks, now } = context;
  const unusable = createUnusableObjects(context);
  const maxBytes = () => Math.min(MAX_FOREIGN_BYTES, maxCopyBytes());
  // Weak, so that entries go with their descriptions.
  const versions = new WeakMap<ObjectInfo, string>();
  const stale = new WeakSet<ObjectInfo>();
  const describing = new LiveMap<string, ReturnType<typeof describeForeign>>();

  function entryOfObject(key: Key, found: RemoteEntry & { state: "object" }, epoch: number): Entry {
    const { info, version, isStale } = found;
    const failure = damaged.failureOf(key, version);
    // A damaged object of the mirror may be fetched again. An upload exists nowhere else, and damaged is not absent.
    if (failure !== undefined && info.provenance.via !== "mirror") throw failure;
    if (failure !== undefined) return { state: "absent", epoch, certainty: "unknown", failure };
    versions.set(info, version);
    if (isStale) stale.add(info);
    return { state: "object", info, epoch, isStale };
  }

  async function entryOfForeign(key: Key, found: ForeignEntry, epoch: number): Promise<Entry> {
    const { version, size } = found;
    if (size === 0) return { state: "absent", epoch };
    if (unusable.has(key, version)) return { state: "absent", epoch, certainty: "foreign" };
    if (size > maxBytes()) {
      unusable.note(key, version, `${size} bytes are too many`);
      return { state: "absent", epoch, certainty: "foreign" };
    }
    const share = `${key}\n${version}`;
    const described = describing.get(share) ?? describeForeign(key, found, { remote, spools, storeCopy: beginCopy() });
    describing.set(share, described);
    // After the deadline too: the body may trickle, so the next look-up reads it anew.
    const info = await withReadDeadline(key, described).finally(() => describing.delete(share));
    if (info === undefined) return { state: "absent", epoch };
    if (info === "no-image") {
      unusable.note(key, version, "it is no whole image");
      return { state: "absent", epoch, certainty: "foreign" };
    }
    versions.set(info, version);
    return { state: "object", info, epoch, isStale: false };
  }

  return {
    /**
     * `local`: the entry on this disk. If it is a tombstone and the remote store does not answer, it is the result.
     * Throws store_failed for a damaged upload.
     */
    async entry(key: Key, local: Entry): Promise<Entry> {
      let { epoch } = local;
      let found: RemoteEntry;
      try {
        found = await remote.head(key);
        if (found.state === "foreign") return await entryOfForeign(key, found, epoch);
      } catch (error) {
        if (local.state === "tombstone") return local;
        return { state: "absent", epoch, certainty: "unknown", failure: asHuiyuanError(error) };
      }
      if (found.state === "tombstone") {
        const { version: _, ...tombstone } = found;
        if (!hasExpired(found, now())) return { ...tombstone, epoch };
        if (marks.see(key, tombstone)) epoch = await raiseEpoch(key);
        found = { state: "absent" };
      }
      if (local.state === "tombstone") await liftTombstone(key);
      return found.state === "absent" ? { state: "absent", epoch } : entryOfObject(key, found, epoch);
    },
    /**
     * True if an object that another tool has put there is not an image, so that an upload may replace it. Stores no
     * copy, because the caller holds the lock of the key. Throws store_failed, store_full.
     */
    async isNoImage(key: Key, found: ForeignEntry): Promise<boolean> {
      if (found.size > maxBytes()) return false;
      const described = describeForeign(key, found, { remote, spools, storeCopy: async () => {} });
      return (await withReadDeadline(key, described)) === "no-image";
    },
    /** The version at which this description was found. */
    versionOf: (info: ObjectInfo) => versions.get(info),
    /** True if the object is stale in the remote store. It is not copied then, because the copy would look fresh. */
    isStale: (info: ObjectInfo) => stale.has(info),
    markStale: (info: ObjectInfo) => void stale.add(info),
  };
}
