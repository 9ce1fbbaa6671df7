// Asks the origin again for what the mirror once brought: one question a key, with the origin's own validators, in the
// line of all fetches. Only a whole, sound and different image replaces the last good one (put-fetched.ts). When a question is
// due is decided by freshness.ts.

import { abortable, type Cancellation } from "../../async/cancellation.ts";
import { LiveMap } from "../../async/live-map.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key, ObjectFormat, ObjectInfo } from "../../core/object.ts";
import type { Origin, OriginAnswer, OriginTarget, Validators } from "../../origin/origin.ts";
import type { FailureLog } from "../failure-log.ts";
import type { FillAdmission } from "../fill/admission.ts";
import { describeFetched } from "../fill/describe-fetched.ts";
import { damageOf, type Fill, type FillEnd, type FillParts, startFill } from "../fill/fill.ts";
import type { MirrorMeter } from "../meter.ts";
import type { Stored, StoredObject } from "../stored/stored.ts";
import { createInvalidation } from "../storing/invalidate.ts";
import type { Invalidation, PendingWrite } from "../storing/pending-writes.ts";
import { isLater } from "../storing/versions.ts";
import type { WriteBack } from "../storing/write-back.ts";
import { type Ages, createAges } from "./ages.ts";
import { createBackoff, isBroken } from "./backoff.ts";
import { type Freshness, type FreshnessRules, mayBeStored } from "./freshness.ts";
import { createRevalidationEffects, type RevalidationEnd, type StoredEntry } from "./revalidation-effects.ts";
import {
  instead,
  inTime,
  isNothingNew,
  type RevalidationOutcome,
  revalidationOutcome,
} from "./revalidation-outcome.ts";

/** A question about a stored object. */
export interface RevalidationRequest extends OriginTarget {
  readonly key: Key;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

export interface Revalidation extends Omit<Ages, "freshnessOf"> {
  /** As of Ages, but that nothing is served unasked of which a newer version waits for the store. */
  freshnessOf(object: StoredObject): Freshness;
  /** Whether what waits for the store is young enough to help out where the origin has failed. */
  mayServeStale(image: PendingWrite): boolean;
  /** Asks behind the client's back, unless that is being done, has just failed, or too much is being asked. */
  begin(object: StoredObject, request: RevalidationRequest): void;
  /**
   * Asks and waits for what comes of it. `mayHelp`: where nothing better comes, the stored object is served; else this
   * throws the codes of Mirror.fetch. Throws not_found where the origin has the object no more and it was removed.
   */
  revalidate(object: StoredObject, request: RevalidationRequest, how: RevalidateOptions): Promise<RevalidationOutcome>;
  /** Whether the object is being asked for, and what is known without asking. Changes nothing. `mayHelp` as in ask(). */
  peek(
    object: StoredObject,
    mayServeStale: boolean,
  ): { readonly isRunning: boolean; readonly outcome: RevalidationEnd | undefined };
  /** Questions that have no answer yet. */
  pending(): readonly Promise<unknown>[];
}

export interface RevalidateOptions {
  readonly mayServeStale: boolean;
  /** The client's. */
  readonly signal: Cancellation;
  readonly timeoutMs: number;
}

export interface RevalidationOptions {
  readonly stored: Stored;
  readonly origin: Origin;
  readonly admission: FillAdmission;
  /** Undefined: `never`; only what is purged is asked for again. */
  readonly rules: FreshnessRules | undefined;
  /** What a 404 or 410 does to a stored object. */
  readonly onGone: "keep" | "remove";
  readonly negativeTtlMs: number;
  readonly maxObjectBytes: number;
  /** Formats that are taken; undefined: all. */
  readonly formats?: ReadonlySet<ObjectFormat> | undefined;
  /** Questions behind clients' backs at once. */
  readonly places: number;
  readonly spools: SpoolPool;
  readonly transients: FillParts["transients"];
  readonly writeBack: WriteBack;
  readonly meter: MirrorMeter;
  readonly log: Log;
  readonly failures: FailureLog;
  /** Unix milliseconds, and as performance.now(). */
  readonly now: () => number;
  readonly ticks: () => number;
  /** The program's own. */
  readonly signal: AbortSignal;
}

/** One question. `epoch`: of the object for which it began. */
interface Revalidating {
  readonly epoch: number;
  readonly outcome: Promise<RevalidationEnd>;
}

export function createRevalidation(options: RevalidationOptions): Revalidation {
  const { stored, origin, rules, now, meter, log } = options;
  const questions = new LiveMap<Key, Revalidating>();
  const isStorable = ({ life }: OriginAnswer) => mayBeStored(life, rules);
  const effects = createRevalidationEffects({ ...options, isStorable });
  const ages = createAges({ rules, now, confirmation: effects.confirmation });
  const invalidate = createInvalidation(options);
  const rest = createBackoff(options);
  let asking = 0;

  /** The key's question, unless it began before the key was purged or written. */
  function questionOf({ info, epoch }: StoredObject): Revalidating | undefined {
    const question = questions.get(info.key);
    return question === undefined || question.epoch < epoch ? undefined : question;
  }

  /** Why the origin need not, or may not, be asked now. */
  function known({ info, epoch }: StoredObject, mayServeStale: boolean): RevalidationEnd | undefined {
    const resting = rest.known({ key: info.key, epoch, mayServeStale });
    if (resting !== undefined) return resting;
    const error = origin.refusal?.();
    return error === undefined ? undefined : { kind: "failed", error };
  }

  function start({ epoch }: StoredObject, request: RevalidationRequest): Revalidating {
    let settled: Promise<unknown> = Promise.resolve();
    const look = async (): Promise<RevalidationEnd> => {
      try {
        const entry = await stored.bucket.lookup(request.key);
        // It has changed since it was found: whoever waits looks again.
        if (entry.state !== "object" || entry.info.provenance.via !== "mirror") return { kind: "current" };
        const { outcome, over } = await askFor(entry, request);
        settled = over;
        return outcome;
      } catch (error) {
        return { kind: "failed", error: asHuiyuanError(error) };
      }
    };
    const question: Revalidating = { epoch, outcome: look() };
    questions.set(request.key, question);
    void question.outcome
      .then(() => settled)
      .finally(() => {
        if (questions.get(request.key) === question) questions.delete(request.key);
      });
    return question;
  }

  /** `over` resolves when the outcome is to be had elsewhere: it is written, or waits for the store. Never rejects. */
  async function askFor(entry: StoredEntry, request: RevalidationRequest) {
    const { key } = request;
    const requestedAt = now();
    const { admission, spools, transients, maxObjectBytes: maxBytes, formats, signal } = options;
    const fill = startFill({
      ...request,
      id: key,
      isStored: true,
      formats,
      epoch: entry.epoch,
      requestedAt,
      unless: validatorsOf(entry.info),
      admission,
      origin,
      ...{ spools, transients },
      maxBytes,
      describe: (head, body) => describeFetched({ key, head, body, now: now() }),
      meter,
      signal,
    });
    const end = await fill.done;
    const outcome = judge(entry, fill, end);
    tell(fill, outcome);
    rest.begin(fill, outcome);
    const fate = fateBy(outcome, end);
    if (fate !== undefined) invalidate({ key, epoch: entry.epoch, requestedAt, fate });
    const isNew = outcome.kind === "new" && end.kind === "whole" && isStorable(end.head.answer);
    const image: PendingWrite | undefined = isNew ? { fill, info: end.info, fate: "wanted" } : undefined;
    const settling = effects.settle(entry, { fill, end, outcome, requestedAt, fate: () => image?.fate ?? "wanted" });
    if (image !== undefined) stored.pendingWrites.add(image, settling);
    void settling.then((givenUp) => {
      if (givenUp !== undefined) rest.begin(fill, { kind: "failed", error: givenUp });
    });
    return { outcome, over: image === undefined ? settling : Promise.resolve() };
  }

  /** What is on its way to replace the object, if that has not happened meanwhile. */
  function successorOf({ info, epoch }: StoredObject): PendingWrite | undefined {
    const newest = stored.pendingWrites.newest({ key: info.key, epoch });
    return newest !== undefined && isLater(newest.info, info) ? newest : undefined;
  }

  const standingOfWaiting = ({ info }: PendingWrite) => ages.freshnessOf({ info, isStale: false });
  const mayServeStale = (image: PendingWrite) => standingOfWaiting(image) !== "must-revalidate";

  function freshSuccessorOf(object: StoredObject): PendingWrite | undefined {
    const successor = successorOf(object);
    return successor !== undefined && standingOfWaiting(successor) === "fresh" ? successor : undefined;
  }

  /** Nobody else need ask. */
  function isAsked(object: StoredObject): boolean {
    return questionOf(object) !== undefined || freshSuccessorOf(object) !== undefined;
  }

  /** What that says of an image that waits for the store: the origin has gone back to what is stored, has none any more, or lets nothing be kept. */
  function fateBy({ kind }: RevalidationEnd, end: FillEnd): Invalidation["fate"] | undefined {
    if (kind === "removed") return "gone";
    return kind === "current" || (end.kind === "whole" && !isStorable(end.head.answer)) ? "superseded" : undefined;
  }

  function tell({ key }: Fill, outcome: RevalidationEnd): void {
    meter.revalidated(outcome.kind);
    const about = { bucket: stored.bucketId, key, ...(outcome.kind === "failed" ? { err: outcome.error } : {}) };
    if (isBroken(outcome))
      options.failures.warn("not_replaced", about, "a new version was refused; the last good one stays");
    else log.debug(about, "asked the origin again for a stored image");
  }

  function judge({ info }: StoredEntry, fill: Fill, end: FillEnd): RevalidationEnd {
    switch (end.kind) {
      case "current":
        return { kind: "current" };
      case "absent":
        return { kind: options.onGone === "remove" ? "removed" : "gone" };
      case "failed":
        return { kind: "failed", error: end.error };
      case "whole":
      case "suspect":
      case "unstored": {
        const { hashes } = "body" in end ? end.body : end.info;
        if (hashes.sha256 === info.hashes.sha256) return { kind: "current" };
        return { kind: damageOf(end) === undefined ? "new" : "suspect", fill };
      }
    }
  }

  return {
    ...ages,
    freshnessOf(object) {
      const standing = ages.freshnessOf(object);
      return standing === "stale" && successorOf(object) !== undefined ? "revalidate-first" : standing;
    },
    mayServeStale,
    begin(object, request) {
      if (asking >= options.places || isAsked(object) || known(object, true) !== undefined) return;
      asking += 1;
      void start(object, request).outcome.then(() => {
        asking -= 1;
      });
    },
    async revalidate(object, request, { mayServeStale: mayStoredHelp, signal, timeoutMs }) {
      const fresh = freshSuccessorOf(object);
      if (fresh !== undefined) return instead(fresh, "after");
      const running = questionOf(object);
      if (running !== undefined) meter.collapsed();
      const outcome =
        running === undefined ? (known(object, mayStoredHelp) ?? start(object, request).outcome) : running.outcome;
      const answer = await abortable(inTime(outcome, request.key, timeoutMs), signal);
      const newest = isNothingNew(answer) ? successorOf(object) : undefined;
      if (newest !== undefined && answer.kind === "gone") return instead(newest, "gone");
      if (newest !== undefined && mayServeStale(newest)) return instead(newest, "failed");
      // What has been replaced in all but the store helps nobody, by whatever its own words were.
      return revalidationOutcome(request.key, answer, mayStoredHelp && newest === undefined);
    },
    peek: (object, help) => ({ isRunning: isAsked(object), outcome: known(object, help) }),
    pending: () => questions.values().map(({ outcome }) => outcome),
  };
}

/** Of what the origin sent last; undefined where it gave none, and the whole is asked for. */
export function validatorsOf({ provenance }: ObjectInfo): Validators | undefined {
  const { originEtag: etag, originLastModified: lastModified } = provenance;
  return etag === undefined && lastModified === undefined ? undefined : { etag, lastModified };
}
