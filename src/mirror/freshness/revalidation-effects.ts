// What becomes of a stored object once its origin has been asked again: confirmed, replaced, removed, or left as it is.
// It asks nobody; refresh.ts does.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Entry } from "../../bucket/contract/driver.ts";
import type { HuiyuanError } from "../../core/errors.ts";
import { etagOf, type ObjectInfo, type Validation } from "../../core/object.ts";
import type { NotModified, OriginAnswer } from "../../origin/origin.ts";
import { createExpiring } from "../expiring.ts";
import type { Fill } from "../fill/fill.ts";
import type { FillEnd } from "../fill/fill-end.ts";
import type { MirrorContext } from "../mirror-context.ts";
import type { Fate } from "../storing/pending-writes.ts";
import { versionOf } from "../storing/versions.ts";
import { confirmedLife } from "./freshness.ts";

/** What a question came to. */
export type RevalidationEnd =
  | { readonly kind: "current" | "gone" | "removed" }
  | { readonly kind: "failed"; readonly error: HuiyuanError }
  /** Good enough to be passed on where nothing else may be served, never to replace the last good one. */
  | { readonly kind: "suspect"; readonly fill: Fill }
  | { readonly kind: "new"; readonly fill: Fill };

/** The object that was asked about, as it was then. */
export type StoredEntry = Extract<Entry, { readonly state: "object" }>;

export interface RevalidatedAnswer {
  readonly fill: Fill;
  readonly end: FillEnd;
  readonly outcome: RevalidationEnd;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  /** As in WriteBackTask, for a version that is stored. */
  readonly fate: () => Fate;
}

export interface RevalidationEffects {
  /**
   * Resolves when it is in effect, or with why a good version could not be stored; never rejects. Lets the fill's spool go.
   */
  settle(entry: StoredEntry, asked: RevalidatedAnswer): Promise<HuiyuanError | undefined>;
  /** A confirmation of these bytes that is newer than what their description says, or as new. */
  confirmation(info: ObjectInfo): Validation | undefined;
}

// A confirmation is written at most so often: an object that lives for seconds would else cost a commit for each life.
const WRITE_EVERY_MS = 60_000;
const MAX_CONFIRMED = 10_000;

export function createRevalidationEffects({
  options: { stored },
  parts: { writeBack, meter, log },
  ticks,
  isStorable,
}: MirrorContext): RevalidationEffects {
  const confirmed = createExpiring<{ readonly etag: string; readonly validated: Validation }>(MAX_CONFIRMED);

  async function effect(entry: StoredEntry, asked: RevalidatedAnswer): Promise<HuiyuanError | undefined> {
    const { end, outcome } = asked;
    if (outcome.kind === "new" && end.kind === "whole" && isStorable(end.head.answer)) {
      return replace(entry, end, asked.fate);
    }
    try {
      await learn(entry, asked);
      return undefined;
    } finally {
      // Until then whoever comes is given this outcome; who was given it in this same turn has taken a hold by the next.
      if ("head" in end) setImmediate(() => end.head.spool.release());
    }
  }

  /** What is known of the object beside its bytes. */
  async function learn(entry: StoredEntry, { end, outcome, requestedAt }: RevalidatedAnswer): Promise<void> {
    if (outcome.kind === "current") await confirm(entry, "answer" in end ? end.answer : answerOf(end), requestedAt);
    else if (outcome.kind === "removed") await stored.invalidateVersion(entry.info, entry.epoch, "gone");
    else if (outcome.kind !== "new") return;
    else if (end.kind === "unstored") meter.notStored(end.error.code);
    else await noteNotStorable(entry, answerOf(end));
  }

  async function replace(
    entry: StoredEntry,
    { info, body, head }: Extract<FillEnd, { readonly kind: "whole" }>,
    fate: () => Fate,
  ): Promise<HuiyuanError | undefined> {
    confirmed.delete(info.key);
    // Whoever waits takes a hold within this turn; the store may be done before.
    head.spool.hold();
    void nextTurn().then(() => head.spool.release());
    const { spool, answer } = head;
    const { epoch } = entry;
    const replaces = versionOf(entry.info);
    return writeBack.store({ stored, info, body, spool, epoch, replaces, fate, desync: answer.desync });
  }

  async function confirm(entry: StoredEntry, answer: NotModified | OriginAnswer, requestedAt: number): Promise<void> {
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
    // Asked under the old one the origin would send the whole body each time. Where it has an ETag its date says nothing.
    const isRenamed =
      originEtag !== provenance.originEtag ||
      (originEtag === undefined && originLastModified !== provenance.originLastModified);
    // Also what was stored while the clock was ahead.
    const isDue = Math.abs(requestedAt - before.at) >= WRITE_EVERY_MS || life.cacheControl !== before.life.cacheControl;
    if (!isDue && !isRenamed && !entry.isStale) return;
    await stored.renew(key, { etag, epoch: entry.epoch, originEtag, originLastModified, validated });
  }

  /**
   * The origin has something newer that may not be kept: from now on the last good one lives by those words. They are not about its own
   * bytes, so it is as old as before, and as stale.
   */
  async function noteNotStorable(
    entry: StoredEntry,
    { life: { age: _age, date: _date, ...life } }: OriginAnswer,
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
    async settle(entry, asked) {
      try {
        return await effect(entry, asked);
      } catch (err) {
        const { key } = asked.fill;
        log.warn({ bucket: stored.bucketId, key, err }, "what a refresh has learnt could not be written");
        return undefined;
      }
    },
    confirmation({ key, hashes, provenance }) {
      const newest = confirmed.get(key, ticks());
      if (newest?.etag !== etagOf(hashes)) return undefined;
      // The same bytes may have been purged and fetched again since.
      return newest.validated.at >= (provenance.validated?.at ?? 0) ? newest.validated : undefined;
    },
  };
}

/** Only ends with a body lead here. */
function answerOf(end: FillEnd): OriginAnswer {
  if ("head" in end) return end.head.answer;
  throw new Error(`a fill that ended ${end.kind} has no answer`);
}
