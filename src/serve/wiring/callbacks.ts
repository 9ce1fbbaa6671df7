// Part of the composition root: the callbacks of uploads, with the outbox that keeps the pending ones. It writes no
// objects.
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { isKey } from "../../core/object.ts";
import { readVersion } from "../../core/version.ts";
import { createLedgers } from "../../ledger/ledger.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { createFailureLog } from "../mirror/failure-log.ts";
import { createSystemResolve } from "../origin/dial/lookup.ts";
import type { Uploaded } from "../upload/callback/callback.ts";
import type { CallbackTarget } from "../upload/callback/delivery.ts";
import { type CallbackMeter, createNotices, type Notices } from "../upload/callback/notices.ts";
import { createOutbox, OUTBOX_PLAN, type Outbox } from "../upload/callback/outbox.ts";
import type { SiteRegistry } from "./sites.ts";

export interface Callbacks {
  /** Sends callbacks to business servers, also the pending ones of earlier runs once `apply` was called. */
  readonly notices: Notices;
  readonly outbox: Outbox;
  /** Applies new settings to callbacks that are sent from now on. */
  apply(settings: Settings): void;
  /** Stops sending callbacks. */
  close(): Promise<void>;
}

export interface CallbacksParts {
  /** Undefined until the sites exist. */
  readonly registry: () => SiteRegistry | undefined;
  readonly meter: CallbackMeter;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Opens the outbox at its first use. The caller holds the data folder's lock until close() has resolved. */
export function createCallbacks({ data }: Settings, { registry, meter, log, now }: CallbacksParts): Callbacks {
  const ledgers = createLedgers({ dir: data, log });
  const outbox = createOutbox(ledgers.open(OUTBOX_PLAN));
  const notices = createNotices({
    outbox,
    isStored: (uploaded) => isStored(uploaded, registry()),
    userAgent: `Huiyuan/${readVersion()}`,
    resolve: createSystemResolve(),
    meter,
    now,
    log,
    failures: createFailureLog(log, {}, "callbacks"),
  });
  return {
    notices,
    outbox,
    apply: (settings) => notices.apply(callbackTargets(settings)),
    async close() {
      await notices.close();
      await ledgers.close();
    },
  };
}

/** By `<appid>/<bucket>`. */
function callbackTargets({ projects }: Settings): ReadonlyMap<string, CallbackTarget> {
  return new Map(
    projects.flatMap(({ appid, buckets }) =>
      buckets.flatMap(({ name, callback }): [string, CallbackTarget][] => {
        if (callback === undefined) return [];
        const { timeout: timeoutMs, ...rest } = callback;
        return [[`${appid}/${name}`, { ...rest, timeoutMs }]];
      }),
    ),
  );
}

/** False for a mirrored object under the same name, even if its bytes are equal: nobody uploaded it. */
async function isStored(
  { appid, bucket, fileid, sha1 }: Uploaded,
  registry: SiteRegistry | undefined,
): Promise<boolean> {
  const stored = registry?.storedOf(`${appid}/${bucket}`);
  if (stored === undefined)
    throw new HuiyuanError("internal", `Cannot look up "${fileid}": its bucket is not in the settings`);
  if (!isKey(fileid)) return false;
  const entry = await stored.bucket.lookup(fileid);
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  return entry.state === "object" && entry.info.provenance.via !== "mirror" && entry.info.hashes.sha1 === sha1;
}
