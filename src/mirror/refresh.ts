// Asks the origin again for what the mirror once brought: one question a key, with the origin's own validators, in the
// line of all fetches. Only a whole, sound and different image replaces the last good one, and only the very version
// that was looked at. When a question is due is decided by freshness.ts.

import type { SpoolPool } from "../body/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../errors.ts";
import { abortable, type Leaving } from "../leaving.ts";
import type { Log } from "../log.ts";
import type { Key, ObjectFormat, ObjectInfo } from "../object.ts";
import type { Origin, OriginAnswer, OriginTarget, Validators } from "../origin/origin.ts";
import { PassingMap } from "../passing.ts";
import type { Admission } from "./admission.ts";
import { type Ages, type AnsweredAt, createAges } from "./ages.ts";
import { describeFetched } from "./describe-fetched.ts";
import type { FailureLog } from "./failure-log.ts";
import { damageOf, type Fill, type FillEnd, type FillParts, startFill } from "./fill.ts";
import { type FreshnessRules, mayBeKept } from "./freshness.ts";
import type { MirrorMeter } from "./meter.ts";
import { absent } from "./recent.ts";
import { createRefreshEffects, type Outcome, type StoredEntry } from "./refresh-effects.ts";
import { createRefreshRest, isBroken } from "./refresh-rest.ts";
import type { Stored, StoredObject } from "./stored.ts";
import { createWaiting } from "./waiting.ts";
import type { WriteBack } from "./write-back.ts";

/** A question about a stored object. */
export interface RefreshRequest extends OriginTarget {
  readonly key: Key;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

/** What is stored is to be served, looked up again: the origin confirms it, has none any more, or gives nothing of use. */
export interface Kept {
  readonly kind: "kept";
  readonly why: "current" | "gone" | "failed";
}

/**
 * `new`: the fill has ended, with bytes that are to be served; `after`: of an earlier question, which wait for the store and help out
 * before what is stored.
 */
export type Refreshed = Kept | { readonly kind: "new"; readonly fill: Fill; readonly how: "first" | "after" };

export interface Refresh extends Ages {
  /** Asks behind the client's back, unless that is being done, has just failed, or too much is being asked. */
  begin(object: StoredObject, request: RefreshRequest): void;
  /**
   * Asks and waits for what comes of it. `mayHelp`: where nothing better comes, the stored object is served; else this
   * throws the codes of Mirror.fetch. Throws not_found where the origin has the object no more and it was removed.
   */
  ask(object: StoredObject, request: RefreshRequest, how: AskOptions): Promise<Refreshed>;
  /** Whether the object is being asked for, and what is known without asking. Changes nothing. `mayHelp` as in ask(). */
  lookAt(
    object: StoredObject,
    mayHelp: boolean,
  ): { readonly isRunning: boolean; readonly outcome: Outcome | undefined };
  /** Questions that have no answer yet. */
  pending(): readonly Promise<unknown>[];
}

export interface AskOptions {
  readonly mayHelp: boolean;
  /** The client's. */
  readonly signal: Leaving;
  readonly patienceMs: number;
}

export interface RefreshOptions {
  readonly stored: Stored;
  readonly origin: Origin;
  readonly admission: Admission;
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
  readonly rescues: FillParts["rescues"];
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
interface Question {
  readonly epoch: number;
  /** What it has brought, from the end until that is stored: the store may let it wait. */
  waits: AnsweredAt | undefined;
  readonly outcome: Promise<Outcome>;
}

export function createRefresh(options: RefreshOptions): Refresh {
  const { stored, origin, rules, now, meter, log } = options;
  const questions = new PassingMap<Key, Question>();
  const isKept = ({ life }: OriginAnswer) => mayBeKept(life, rules);
  const effects = createRefreshEffects({ ...options, isKept });
  const ages = createAges({ rules, now, confirmation: effects.confirmation });
  /** New versions, by their keys: they help out before what is stored, which is older. */
  const waiting = createWaiting(ages);
  const rest = createRefreshRest(options);
  let asking = 0;

  /** The key's question, unless it began before the key was purged or written, or what it has brought is too old by now. */
  function questionOf({ info, epoch }: StoredObject): Question | undefined {
    const question = questions.get(info.key);
    if (question === undefined || question.epoch < epoch) return undefined;
    return question.waits === undefined || ages.isFreshAnswer(question.waits) ? question : undefined;
  }

  /** Why the origin need not, or may not, be asked now. */
  function known({ info, epoch }: StoredObject, mayHelp: boolean): Outcome | undefined {
    const resting = rest.known({ key: info.key, epoch, mayHelp });
    if (resting !== undefined) return resting;
    const error = origin.refusal?.();
    return error === undefined ? undefined : { kind: "failed", error };
  }

  function start({ epoch }: StoredObject, request: RefreshRequest): Question {
    let settled: Promise<unknown> = Promise.resolve();
    const look = async (): Promise<Outcome> => {
      try {
        const entry = await stored.bucket.lookup(request.key);
        // It has changed since it was found: whoever waits looks again.
        if (entry.state !== "object" || entry.info.provenance.via !== "mirror") return { kind: "current" };
        const { outcome, waits, settling } = await askFor(entry, request);
        settled = settling;
        question.waits = waits;
        return outcome;
      } catch (error) {
        return { kind: "failed", error: asHuiyuanError(error) };
      }
    };
    const question: Question = { epoch, waits: undefined, outcome: look() };
    questions.set(request.key, question);
    void question.outcome
      .then(() => settled)
      .finally(() => {
        if (questions.get(request.key) === question) questions.delete(request.key);
      });
    return question;
  }

  /** `settling` resolves when what came is stored or given up, and never rejects. */
  async function askFor(entry: StoredEntry, request: RefreshRequest) {
    const { key } = request;
    const askedAt = now();
    const { admission, spools, rescues, maxObjectBytes: maxBytes, formats, signal } = options;
    const fill = startFill({
      ...request,
      id: key,
      isStored: true,
      formats,
      epoch: entry.epoch,
      askedAt,
      unless: validatorsOf(entry.info),
      admission,
      origin,
      ...{ spools, rescues },
      maxBytes,
      describe: (head, body) => describeFetched({ key, head, body, now: now() }),
      meter,
      signal,
    });
    const end = await fill.done;
    const outcome = judge(entry, fill, end);
    tell(fill, outcome);
    rest.begin(fill, outcome);
    const settling = effects.settle(entry, { fill, end, outcome, askedAt });
    const isNew = outcome.kind === "new" && end.kind === "whole" && isKept(end.head.answer);
    if (isNew) waiting.add(key, { fill, info: end.info, isWanted: true }, settling);
    return { outcome, waits: isNew ? end.head : undefined, settling };
  }

  function tell({ key }: Fill, outcome: Outcome): void {
    meter.refreshed(outcome.kind);
    const about = { bucket: stored.bucketId, key, ...(outcome.kind === "failed" ? { err: outcome.error } : {}) };
    if (isBroken(outcome))
      options.failures.warn("not_replaced", about, "a new version was refused; the last good one stays");
    else log.debug(about, "asked the origin again for a stored image");
  }

  function judge({ info }: StoredEntry, fill: Fill, end: FillEnd): Outcome {
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
    begin(object, request) {
      if (asking >= options.places || questionOf(object) !== undefined || known(object, true) !== undefined) return;
      asking += 1;
      void start(object, request).outcome.then(() => {
        asking -= 1;
      });
    },
    async ask(object, request, { mayHelp, signal, patienceMs }) {
      const running = questionOf(object);
      if (running !== undefined) meter.collapsed();
      const outcome =
        running === undefined ? (known(object, mayHelp) ?? start(object, request).outcome) : running.outcome;
      const answer = await abortable(inTime(outcome, request.key, patienceMs), signal);
      const asked = { id: request.key, epoch: object.epoch };
      const newer = answer.kind === "failed" || answer.kind === "suspect" ? waiting.helperFor(asked) : undefined;
      if (newer !== undefined) return { kind: "new", fill: newer, how: "after" };
      switch (answer.kind) {
        case "current":
        case "gone":
          return { kind: "kept", why: answer.kind };
        case "removed":
          throw absent(request.key);
        case "failed":
          if (mayHelp) return { kind: "kept", why: "failed" };
          throw answer.error;
        case "suspect":
          return mayHelp ? { kind: "kept", why: "failed" } : { kind: "new", fill: answer.fill, how: "first" };
        case "new":
          return { kind: "new", fill: answer.fill, how: "first" };
      }
    },
    lookAt: (object, help) => ({ isRunning: questionOf(object) !== undefined, outcome: known(object, help) }),
    pending: () => questions.values().map(({ outcome }) => outcome),
  };
}

/** Of what the origin sent last; undefined where it gave none, and the whole is asked for. */
export function validatorsOf({ provenance }: ObjectInfo): Validators | undefined {
  const { originEtag: etag, originLastModified: lastModified } = provenance;
  return etag === undefined && lastModified === undefined ? undefined : { etag, lastModified };
}

/** The wait of one client; the question goes on. */
async function inTime(outcome: Outcome | Promise<Outcome>, key: Key, patienceMs: number): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    const message = `Cannot wait longer for the origin's word on "${key}": none in ${patienceMs} ms`;
    const error = new HuiyuanError("origin_timeout", message);
    timer = setTimeout(resolve, patienceMs, { kind: "failed", error });
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
