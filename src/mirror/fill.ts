// One fetch of one key, shared by everyone who waits for it. It outlives the requests that wait and has the origin's
// deadlines alone. It proves the body; it does not store it (mirror.ts hands the finished spool to write-back.ts).
import type { DeclaredDigests } from "../body/gate.ts";
import { createGate, type Gate, type Verdict } from "../body/gate.ts";
import type { Spool, WholeBody } from "../body/spool.ts";
import type { SpoolPool } from "../body/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../errors.ts";
import type { DigestName, Hashes, ImageFacts, Key, ObjectFormat, ObjectInfo } from "../object.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest, OriginTarget, Validators } from "../origin/origin.ts";
import type { Admission } from "./admission.ts";
import type { MirrorMeter } from "./meter.ts";
import { createRescue, type Rescue, type RescueRoom } from "./rescue.ts";

/** What is known when the head of the answer may go out: magic seen, first bytes there. */
export interface FillHead {
  /** Bytes: exact once the fill has ended, else what the origin declared; undefined when it declared nothing. */
  readonly size: number | undefined;
  readonly image: ImageFacts;
  readonly answer: OriginAnswer;
  readonly spool: Spool;
}

/**
 * `whole`: proven and complete. `suspect`: complete, but structure or declared hash is wrong. `unstored`: complete, but the spool could
 * not keep it (`isDamaged`: its structure is wrong). `absent`: the origin has no such object. `current`: what `unless` named is still
 * the origin's. `failed`: nothing that may be used came.
 */
export type FillEnd =
  | { readonly kind: "whole"; readonly head: FillHead; readonly body: WholeBody; readonly info: ObjectInfo }
  | {
      readonly kind: "suspect";
      readonly head: FillHead;
      readonly body: WholeBody;
      readonly reason: "structure" | "hash";
    }
  | { readonly kind: "unstored"; readonly head: FillHead; readonly error: HuiyuanError; readonly isDamaged: boolean }
  | { readonly kind: "absent" }
  | { readonly kind: "current"; readonly answer: NotModified }
  | { readonly kind: "failed"; readonly error: HuiyuanError };

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
  rescue: Rescue | undefined;
  /** For a body that the disk does not keep. */
  toRescue(head: FillHead): Rescue;
}

export interface FillParts extends OriginTarget {
  readonly id: string;
  readonly key: Key;
  readonly isStored: boolean;
  /** Formats that are taken; undefined: all. */
  readonly formats?: ReadonlySet<ObjectFormat> | undefined;
  /** The proof of one body; default: that it is a whole image. */
  readonly openGate?: (() => Gate) | undefined;
  readonly epoch: number;
  /** Entered before the origin is asked, left when the fill has ended. */
  readonly admission: Admission;
  readonly origin: Origin;
  readonly spools: SpoolPool;
  readonly rescues: RescueRoom;
  readonly maxBytes: number;
  /** The validators of what is stored, where only something newer is wanted. */
  readonly unless?: Validators | undefined;
  /** The facts under which a whole body will be stored. */
  readonly describe: (head: FillHead, body: WholeBody) => ObjectInfo;
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
    rescue: undefined,
    toRescue(known) {
      fill.rescue ??= rescueOf(parts, known, done);
      return fill.rescue;
    },
  };
  return fill;
}

function rescueOf({ rescues: room, describe }: FillParts, { spool, answer }: FillHead, done: Promise<FillEnd>): Rescue {
  const digests = new Set(DIGESTS.filter((name) => answer.digests[name] !== undefined));
  return createRescue({
    ...{ spool, done, room, digests },
    prove(head, body) {
      if (matchesDeclared(answer.digests, body.hashes)) return describe(head, body);
      throw new HuiyuanError("origin_hash_wrong", `Cannot use the body of ${answer.url}: it declared another digest`);
    },
  });
}

async function run(parts: FillParts, announce: (head: FillHead) => void): Promise<FillEnd> {
  let leave: (() => void) | undefined;
  let spool: Spool | undefined;
  let begin: (() => void) | undefined;
  try {
    leave = await parts.admission();
    parts.meter.fillStarted();
    const answer = await parts.origin.fetch(requestOf(parts));
    if (answer === undefined) return { kind: "absent" };
    parts.meter.originAnswered(answer.headMs);
    if (answer.isNotModified) return { kind: "current", answer };
    spool = openSpool(parts.spools, answer);
    begin = holdBeginning(spool);
    const { describe, formats, openGate = createGate } = parts;
    return await judge({ answer, spool, gate: openGate(), announce, begin, describe, formats });
  } catch (error) {
    spool?.release();
    return { kind: "failed", error: asHuiyuanError(error) };
  } finally {
    leave?.();
    // From the end on nothing is let go while the fill holds it.
    begin?.();
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

interface Arrival {
  readonly answer: OriginAnswer;
  readonly spool: Spool;
  readonly gate: Gate;
  readonly announce: (head: FillHead) => void;
  /** Whoever waited for the head has it. */
  readonly begin: () => void;
  readonly describe: FillParts["describe"];
  readonly formats: FillParts["formats"];
}

/** Takes the body in and says what it was. Throws the reason when it may not be used, after telling the spool. */
async function judge(arrival: Arrival): Promise<FillEnd> {
  const { answer, spool, gate } = arrival;
  try {
    await receive(arrival);
    // What came in the same read behind its end has been seen by now.
    if (answer.doubt?.isRaised === true) throw doubtful(answer);
  } catch (error) {
    const reason = asHuiyuanError(error);
    spool.fail(reason);
    throw reason;
  }
  const { framing } = answer;
  const isFramingWhole = framing !== "close";
  const structural = gate.verdict({ framing, isFramingWhole, isHashRight: true });
  if (structural.kind === "broken") {
    const reason = brokenBody(structural, answer);
    spool.fail(reason);
    throw reason;
  }
  const head: FillHead = { size: spool.received, image: structural.image, answer, spool };
  let body: WholeBody;
  try {
    body = await spool.finish();
  } catch (error) {
    return { kind: "unstored", head, error: asHuiyuanError(error), isDamaged: structural.kind === "suspect" };
  }
  const isHashRight = matchesDeclared(answer.digests, body.hashes);
  const verdict = isHashRight ? structural : gate.verdict({ framing, isFramingWhole, isHashRight });
  if (verdict.kind === "suspect") return { kind: "suspect", head, body, reason: verdict.reason };
  return { kind: "whole", head, body, info: arrival.describe(head, body) };
}

/** Resolves when the message ended by its own framing; rejects when it broke or is no image. */
function receive({ answer, spool, gate, announce, begin, formats }: Arrival): Promise<void> {
  return new Promise((resolve, reject) => {
    let isAnnounced = false;
    answer.body.start({
      data(chunk) {
        gate.push(chunk);
        if (gate.head === "foreign") {
          answer.body.destroy();
          reject(brokenBody({ kind: "broken", code: "origin_not_image" }, answer));
          return false;
        }
        const image = gate.image;
        if (image !== undefined && formats?.has(image.format) === false) {
          answer.body.destroy();
          reject(refusedFormat(image, answer));
          return false;
        }
        const goOn = spool.write(chunk);
        if (!isAnnounced && image !== undefined) {
          isAnnounced = true;
          // A body that ends in the same read is judged before its head goes out, and can be said to be whole.
          setImmediate(() => {
            announce({ size: answer.size, image, answer, spool });
            setImmediate(begin);
          });
        }
        // So long a beginning that shows no image is waited for by nobody.
        if (!isAnnounced && !goOn) begin();
        if (!goOn) void spool.drained().then(() => answer.body.resume());
        return goOn;
      },
      end: resolve,
      error: reject,
    });
  });
}

function doubtful({ url }: OriginAnswer): HuiyuanError {
  const found = "more came behind it than was asked for, so that it may belong to another request";
  return new HuiyuanError("origin_unexpected", `Cannot use the body of ${url}: ${found}`);
}

function refusedFormat({ format }: ImageFacts, { url }: OriginAnswer): HuiyuanError {
  return new HuiyuanError("origin_type_refused", `Cannot use the body of ${url}: ${format} is not among allowedTypes`);
}

function brokenBody(verdict: Extract<Verdict, { kind: "broken" }>, answer: OriginAnswer): HuiyuanError {
  return new HuiyuanError(
    verdict.code,
    `Cannot use the body of ${answer.url}: ${verdict.code}, a whole image is wanted`,
  );
}

const DIGESTS: readonly DigestName[] = ["md5", "sha1"];

function matchesDeclared(declared: DeclaredDigests, hashes: Hashes): boolean {
  return (["md5", "sha1", "sha256"] as const).every(
    (name) => declared[name] === undefined || declared[name].toString("hex") === hashes[name],
  );
}
