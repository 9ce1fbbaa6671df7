// One fetch of one key, shared by everyone who waits for it. It outlives the requests that wait and has the origin's
// deadlines alone. It proves the body; it does not store it (fill-effects.ts hands the finished spool to write-back.ts).
import { createGate, type Gate } from "../../body/gate/gate.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import type { DigestName, ImageFacts, Key, ObjectFormat, ObjectInfo } from "../../core/object.ts";
import type {
  NotModified,
  Origin,
  OriginAnswer,
  OriginRequest,
  OriginTarget,
  Validators,
} from "../../origin/origin.ts";
import type { MirrorMeter } from "../meter.ts";
import type { FillAdmission } from "./admission.ts";
import { judge } from "./arrival.ts";
import { createTransient, type Transient, type TransientRoom } from "./transient.ts";

/** What is known when the head of the answer may go out: magic seen, first bytes there. */
export interface FillHead {
  /** Bytes: exact once the fill has ended, else what the origin declared; undefined when it declared nothing. */
  readonly size: number | undefined;
  readonly image: ImageFacts;
  readonly answer: OriginAnswer;
  /** Unix milliseconds; the age of the answer counts from it, since that may have taken long. */
  readonly requestedAt: number;
  readonly spool: Spool;
}

/**
 * `whole`: proven and complete. `suspect`: complete, but structure or declared hash is wrong. `unstored`: complete, but the spool could
 * not keep it (`info`: what it would be stored as), and it may be suspect too. `absent`: the origin has no such object. `current`: what
 * `unless` named is still the origin's. `failed`: nothing that may be used came.
 */
export type FillEnd =
  | { readonly kind: "whole"; readonly head: FillHead; readonly body: WholeBody; readonly info: ObjectInfo }
  | {
      readonly kind: "suspect";
      readonly head: FillHead;
      readonly body: WholeBody;
      readonly damage: Damage;
    }
  | {
      readonly kind: "unstored";
      readonly head: FillHead;
      readonly error: HuiyuanError;
      readonly info: ObjectInfo;
      readonly damage: Damage | undefined;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "current"; readonly answer: NotModified }
  | { readonly kind: "failed"; readonly error: HuiyuanError };

/** What is wrong about a complete body: its structure, or that it has another hash than its origin declared. */
export type Damage = "structure" | "hash";

/** Undefined: nothing, or it is not complete. */
export function damageOf(end: FillEnd | undefined): Damage | undefined {
  return end !== undefined && "damage" in end ? end.damage : undefined;
}

/** Whether its bytes may be another's: what came over its connection since has shown that. */
export function isDesynced(end: FillEnd | undefined): boolean {
  return end !== undefined && "head" in end && end.head.answer.desync?.isRaised === true;
}

export interface Fill {
  /** Equal for requests that share it. */
  readonly id: string;
  readonly key: Key;
  /** False: the answer depends on more than the key, so it is not stored. */
  readonly isStored: boolean;
  /** The key's epoch when the fill began; it is never stored after that has moved on. */
  readonly epoch: number;
  /** Undefined: absent or current. Rejects with the reason why no head will come. */
  readonly head: Promise<FillHead | undefined>;
  /** Never rejects. */
  readonly done: Promise<FillEnd>;
  /** Undefined while bytes may still come. */
  readonly end: FillEnd | undefined;
  /** Undefined before the head. */
  readonly spool: Spool | undefined;
  /** Undefined until somebody had to gather it. */
  transient: Transient | undefined;
  /** For a body that the disk does not keep. */
  toTransient(head: FillHead): Transient;
}

/** All that is told of a body beside its bytes. */
export type BodyFacts = Pick<WholeBody, "size" | "hashes">;

export interface FillParts extends OriginTarget {
  readonly id: string;
  readonly key: Key;
  readonly isStored: boolean;
  /** Formats that are taken; undefined: all. */
  readonly formats?: ReadonlySet<ObjectFormat> | undefined;
  /** The proof of one body; default: that it is a whole image. */
  readonly openGate?: (() => Gate) | undefined;
  readonly epoch: number;
  /** Now, Unix milliseconds. */
  readonly requestedAt: number;
  /** Entered before the origin is asked, left when the fill has ended. */
  readonly admission: FillAdmission;
  readonly origin: Origin;
  readonly spools: SpoolPool;
  readonly transients: TransientRoom;
  readonly maxBytes: number;
  /** The validators of what is stored, where only something newer is wanted. */
  readonly unless?: Validators | undefined;
  /** The facts under which a body will be stored when it is whole. */
  readonly describe: (head: FillHead, body: BodyFacts) => ObjectInfo;
  readonly meter: MirrorMeter;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  /** The program's own: a client that leaves never ends a fill, a shutdown does. */
  readonly signal: AbortSignal;
}

/** Starts fetching at once. The spool begins with the fill's own hold, which whoever takes `done` releases. */
export function startFill(parts: FillParts): Fill {
  let resolveHead!: (head: FillHead | undefined) => void;
  let rejectHead!: (reason: HuiyuanError) => void;
  const head = new Promise<FillHead | undefined>((resolve, reject) => {
    resolveHead = resolve;
    rejectHead = reject;
  });
  // Nobody may be waiting any more when a fill fails.
  head.catch(() => undefined);
  const announce = (known: FillHead) => {
    fill.spool = known.spool;
    resolveHead(known);
  };
  const done = run(parts, announce).then((outcome) => {
    fill.end = outcome;
    if (outcome.kind === "failed") rejectHead(outcome.error);
    else if ("head" in outcome) announce(outcome.head);
    else resolveHead(undefined);
    return outcome;
  });
  // Fields and no getters: V8 makes a slow object of every literal with a getter.
  const { id, key, isStored, epoch } = parts;
  const fill: { -readonly [Name in keyof Fill]: Fill[Name] } = {
    id,
    key,
    isStored,
    epoch,
    head,
    done,
    end: undefined,
    spool: undefined,
    transient: undefined,
    toTransient(known) {
      fill.transient ??= createTransient({ spool: known.spool, done, room: parts.transients });
      return fill.transient;
    },
  };
  return fill;
}

async function run(parts: FillParts, announce: (head: FillHead) => void): Promise<FillEnd> {
  let leave: (() => void) | undefined;
  try {
    leave = await parts.admission();
    parts.meter.fillStarted();
    const first = await attempt(parts, announce);
    if (first.kind !== "cut") return first;
    parts.meter.retried();
    const second = await attempt(parts, announce);
    return second.kind === "cut" ? { kind: "failed", error: second.error } : second;
  } catch (error) {
    return { kind: "failed", error: asHuiyuanError(error) };
  } finally {
    leave?.();
  }
}

/** The body broke off before anybody was told of it, so that another may take its place. */
interface Cut {
  readonly kind: "cut";
  readonly error: HuiyuanError;
}

/** Asks the origin once. Throws why nothing that may be used came. */
async function attempt(parts: FillParts, announce: (head: FillHead) => void): Promise<FillEnd | Cut> {
  const answer = await parts.origin.fetch(requestOf(parts));
  if (answer === undefined) return { kind: "absent" };
  parts.meter.originAnswered(answer.headMs);
  if (answer.isNotModified) return { kind: "current", answer };
  const spool = openSpool(parts.spools, answer);
  const begin = holdBeginning(spool);
  let isOver = false;
  let isKnown = false;
  const tell = (head: FillHead) => {
    if (isOver) return;
    isKnown = true;
    announce(head);
  };
  const { requestedAt, describe, formats, openGate = createGate } = parts;
  try {
    return await judge({ answer, requestedAt, spool, gate: openGate(), announce: tell, begin, describe, formats });
  } catch (caught) {
    isOver = true;
    spool.release();
    const error = asHuiyuanError(caught);
    if (isKnown || error.code !== "origin_truncated") throw error;
    return { kind: "cut", error };
  } finally {
    // From the end on nothing is let go while the fill holds it.
    begin();
  }
}

/**
 * Where no disk keeps the body, what has come waits for the readers: they are not there before they have seen the head. The returned
 * function, which may be called again, lets it go when they have taken their own holds.
 */
function holdBeginning(spool: Spool): () => void {
  let isHeld = true;
  spool.hold();
  return () => {
    if (isHeld) spool.release();
    isHeld = false;
  };
}

/** Name by name: V8 takes microseconds and kilobytes to add to a spread object. */
function requestOf(parts: FillParts): OriginRequest {
  const { key, path, query, headers, followsRedirects, via, cdnLoop, maxBytes, unless, signal } = parts;
  return { key, method: "GET", path, query, headers, followsRedirects, via, cdnLoop, maxBytes, unless, signal };
}

/** Whoever does not take the body lets it go. Throws draining. */
function openSpool(spools: SpoolPool, { body, digests }: OriginAnswer): Spool {
  try {
    return spools.open(DIGESTS.filter((name) => digests[name] !== undefined));
  } catch (error) {
    body.destroy();
    throw error;
  }
}

const DIGESTS: readonly DigestName[] = ["md5", "sha1"];
