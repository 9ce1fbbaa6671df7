// Applies the result of a revalidation to the stored object: confirms, replaces or removes it, or leaves it as it is.
// It sends no request; revalidation.ts does.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { HuiyuanError } from "../../../core/errors.ts";
import { etagOf, type ObjectInfo, type Validation } from "../../../core/object.ts";
import type { Entry } from "../../bucket/contract/driver.ts";
import type { NotModified } from "../../origin/origin.ts";
import { createExpiring } from "../expiring.ts";
import type { Fill } from "../fill/fill.ts";
import type { AnswerHead, FillEnd } from "../fill/fill-end.ts";
import type { MirrorContext } from "../mirror-context.ts";
import type { TrackedFetch } from "../stored/pending-writes.ts";
import { versionOf } from "../stored/versions.ts";
import { confirmedLife } from "./freshness.ts";

/** The kinds are those of RevalidationKind. */
export type RevalidationEnd =
  | { readonly kind: "current" | "gone" | "removed" }
  | { readonly kind: "failed"; readonly error: HuiyuanError }
  | { readonly kind: "suspect" | "new"; readonly fill: Fill };

/** The stored object, as it was when the revalidation began. */
export type StoredEntry = Extract<Entry, { readonly state: "object" }>;

export interface RevalidatedAnswer {
  readonly fill: Fill;
  readonly end: FillEnd;
  readonly outcome: RevalidationEnd;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  readonly fetch: TrackedFetch;
}

// At most one confirmation in this time is written: an object that is fresh for seconds would else cost many commits.
const WRITE_EVERY_MS = 60_000;
const MAX_CONFIRMED = 10_000;

export function createRevalidationEffects({
  options: { stored },
  parts: { writeBack, meter, log },
  ticks,
  isStorable,
}: MirrorContext) {
  const confirmed = createExpiring<{ readonly etag: string; readonly validated: Validation }>(MAX_CONFIRMED);

  /** Writes what the answer says about the object, except for new bytes. */
  async function updateInfo(entry: StoredEntry, { end, outcome, requestedAt }: RevalidatedAnswer): Promise<void> {
    if (outcome.kind === "current") await confirm(entry, "answer" in end ? end.answer : answerOf(end), requestedAt);
    else if (outcome.kind === "removed") await stored.invalidateVersion(entry.info, entry.epoch, "gone");
    else if (outcome.kind !== "new") return;
    else if (end.kind === "unstored") meter.notStored(end.error.code);
    else await noteNotStorable(entry, answerOf(end));
  }

  async function replace(
    entry: StoredEntry,
    { info, body, head }: Extract<FillEnd, { readonly kind: "whole" }>,
    { fill, fetch }: RevalidatedAnswer,
  ): Promise<HuiyuanError | undefined> {
    confirmed.delete(info.key);
    // Waiting requests take their holds within this turn; the store may finish before.
    head.spool.hold();
    void nextTurn().then(() => head.spool.release());
    const { spool, answer } = head;
    const { epoch } = entry;
    const replaces = versionOf(entry.info);
    return writeBack.store({ stored, info, body, spool, epoch, replaces, fill, fetch, desync: answer.desync });
  }

  async function confirm(entry: StoredEntry, answer: NotModified | AnswerHead, requestedAt: number): Promise<void> {
    const { key, provenance, hashes } = entry.info;
    const before = provenance.validated ?? { at: provenance.fetchedAt, life: {} };
    const life = answer.isNotModified ? confirmedLife(before.life, answer.life) : answer.life;
    const validated = { at: requestedAt, life };
    const etag = etagOf(hashes);
    confirmed.set(key, { etag, validated }, { now: ticks(), ttlMs: 2 * WRITE_EVERY_MS });
    const {
      etag: originEtag = provenance.originEtag,
      lastModified: originLastModified = provenance.originLastModified,
    } = answer;
    // With an outdated validator the origin would send the whole body each time. If there is an ETag, the date does not
    // matter.
    const isRenamed =
      originEtag !== provenance.originEtag ||
      (originEtag === undefined && originLastModified !== provenance.originLastModified);
    // The absolute difference also covers objects that were stored while the clock was ahead.
    const isDue = Math.abs(requestedAt - before.at) >= WRITE_EVERY_MS || life.cacheControl !== before.life.cacheControl;
    if (!isDue && !isRenamed && !entry.isStale) return;
    await stored.renew(key, { etag, epoch: entry.epoch, originEtag, originLastModified, validated });
  }

  /**
   * The origin has a newer version that may not be stored: from now on its headers apply to the last good version. They
   * do not confirm those bytes, so the stored object stays as old, and as stale, as before.
   */
  async function noteNotStorable(
    entry: StoredEntry,
    { life: { age: _age, date: _date, ...life } }: AnswerHead,
  ): Promise<void> {
    const { provenance, key, hashes } = entry.info;
    if (life.cacheControl === provenance.validated?.life.cacheControl) return;
    confirmed.delete(key);
    const { originEtag, originLastModified, fetchedAt } = provenance;
    const validated = { at: provenance.validated?.at ?? fetchedAt, life };
    const version = { etag: etagOf(hashes), epoch: entry.epoch };
    await stored.renew(key, { ...version, originEtag, originLastModified, validated, staysStale: true });
  }

  return {
    /**
     * Resolves once the result is applied; with the reason if a good version could not be stored. Never rejects.
     * Releases the fill's spool.
     */
    async settle(entry: StoredEntry, answer: RevalidatedAnswer): Promise<HuiyuanError | undefined> {
      const { fill, end, outcome } = answer;
      const isReplaced = outcome.kind === "new" && end.kind === "whole" && isStorable(end.head.answer);
      try {
        if (isReplaced) return await replace(entry, end, answer);
        await updateInfo(entry, answer);
      } catch (err) {
        const about = { bucket: stored.bucketId, key: fill.key, err };
        log.warn(about, "the result of a revalidation could not be written");
      } finally {
        // Requests join this result until now; those that joined in this turn have taken their holds by the next one.
        if (!isReplaced && "head" in end) setImmediate(() => end.head.spool.release());
      }
      return undefined;
    },
    /** A confirmation of these bytes that is at least as new as the one in their description. */
    confirmation({ key, hashes, provenance }: ObjectInfo): Validation | undefined {
      const newest = confirmed.get(key, ticks());
      if (newest?.etag !== etagOf(hashes)) return undefined;
      // An older confirmation does not count: the same bytes may have been purged and fetched again since.
      return newest.validated.at >= (provenance.validated?.at ?? 0) ? newest.validated : undefined;
    },
  };
}

/** Called only for ends with a body. */
function answerOf(end: FillEnd): AnswerHead {
  if ("head" in end) return end.head.answer;
  throw new Error(`a fill that ended ${end.kind} has no answer`);
}
