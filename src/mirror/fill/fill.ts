// One fetch of one key, shared by all requests that wait for it. It outlives those requests; only the deadlines of the
// origin end it. It proves the body and stores nothing: fills.ts hands the finished spool to write-back.ts.
import { createGate, type DeclaredDigests, type Gate, type Verdict } from "../../body/gate/gate.ts";
import type { Spool, SpoolEnd } from "../../body/spool/spool.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { DigestName, Hashes, Key, ObjectFormat } from "../../core/object.ts";
import type { Origin, OriginAnswer, OriginTarget, Validators } from "../../origin/origin.ts";
import type { MirrorMeter } from "../meter.ts";
import { type AnswerHead, describeFetched, type FillEnd, type FillHead } from "./fill-end.ts";

export interface Fill {
  /** Equal for requests that share the fill. */
  readonly id: string;
  readonly key: Key;
  /** False: the answer depends on more than the key, so it is not stored. */
  readonly isStored: boolean;
  /** The key's epoch when the fill began; the body is not stored once that has moved on. */
  readonly epoch: number;
  /** Undefined: no head comes, and `end` says why. Never rejects. */
  readonly head: Promise<FillHead | undefined>;
  /** Never rejects. */
  readonly done: Promise<FillEnd>;
  /** Undefined while bytes may still arrive. */
  readonly end: FillEnd | undefined;
  /** Undefined before the head. */
  readonly spool: Spool | undefined;
  /** Whether the bucket accepts the image (key-budget.ts); undefined until that is decided. */
  isAccepted: boolean | undefined;
}

/** One fetch: the key, and the request to the origin. */
export interface FillRequest extends OriginTarget {
  readonly id: string;
  readonly key: Key;
  readonly isStored: boolean;
  readonly epoch: number;
  /** The time of this call, Unix milliseconds. */
  readonly requestedAt: number;
  /** The validators of the stored version, if only a newer one is needed. */
  readonly unless?: Validators | undefined;
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

/** The services and settings that all fills of one mirror share. */
export interface FillContext {
  readonly origin: Origin;
  readonly spools: SpoolPool;
  /** Bytes of a body at most. */
  readonly maxBytes: number;
  /** The formats that are accepted; undefined: all. */
  readonly formats?: ReadonlySet<ObjectFormat> | undefined;
  readonly meter: MirrorMeter;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** The signal of the program: a shutdown ends a fill, a client that leaves does not. */
  readonly signal: AbortSignal;
}

/** Starts fetching at once. The fill holds its spool; the owner of `done` must release that hold. */
export function startFill(request: FillRequest, context: FillContext): Fill {
  let resolve!: (head: FillHead | undefined) => void;
  const head = new Promise<FillHead | undefined>((settle) => {
    resolve = settle;
  });
  const { id, key, isStored, epoch } = request;
  // Fields and no getters: V8 makes a slow object of every literal with a getter.
  const state: Filling = {
    id,
    key,
    isStored,
    epoch,
    head,
    resolve,
    isSent: false,
    hasAnswer: false,
    end: undefined,
    spool: undefined,
    isAccepted: undefined,
  };
  return Object.assign(state, { done: run(state, request, context) });
}

/** A fill that is starting. */
type Filling = { -readonly [Name in Exclude<keyof Fill, "done">]: Fill[Name] } & {
  readonly resolve: (head: FillHead | undefined) => void;
  /** A request has been sent. */
  isSent: boolean;
  /** The origin has begun to send a body. */
  hasAnswer: boolean;
};

async function run(fill: Filling, request: FillRequest, context: FillContext): Promise<FillEnd> {
  let end: FillEnd | undefined;
  for (let isFirst = true; end === undefined; isFirst = false) {
    try {
      end = await attempt(fill, request, context);
    } catch (caught) {
      const error = asHuiyuanError(caught);
      // No client has a byte of a body that broke off before its head was announced.
      const isCut = fill.hasAnswer && fill.spool === undefined && error.code === "origin_truncated";
      if (isCut && isFirst) context.meter.retried();
      else end = { kind: "failed", error };
    }
  }
  fill.end = end;
  if ("head" in end) fill.spool = end.head.spool;
  fill.resolve("head" in end ? end.head : undefined);
  return end;
}

/** One request to the origin. Throws the reason if no usable body arrived. */
async function attempt(fill: Filling, request: FillRequest, context: FillContext): Promise<FillEnd> {
  const { origin, meter, signal, maxBytes } = context;
  const { key, path, query, headers, followsRedirects, via, cdnLoop, unless } = request;
  if (signal.aborted) throw new HuiyuanError("draining", "Cannot fetch: the server is stopping");
  // Field by field: V8 takes microseconds and kilobytes to add to a spread object.
  const answer = await origin.fetch({
    key,
    method: "GET",
    path,
    query,
    headers,
    followsRedirects,
    via,
    cdnLoop,
    maxBytes,
    unless,
    signal,
    onSend() {
      if (!fill.isSent) meter.fillStarted();
      fill.isSent = true;
    },
  });
  if (answer === undefined) return { kind: "absent" };
  meter.originAnswered(answer.headMs);
  if (answer.isNotModified) return { kind: "current", answer };
  const spool = openSpool(context.spools, answer);
  fill.hasAnswer = true;
  const announce = (head: FillHead) => {
    // A fill that has failed or ended meanwhile has its last word.
    if (spool.end?.kind === "failed" || fill.spool !== undefined) return;
    fill.spool = spool;
    fill.resolve(head);
  };
  try {
    return await receiveBody({ key, answer, requestedAt: request.requestedAt, spool }, context, announce);
  } catch (error) {
    spool.release();
    throw error;
  }
}

/** If no spool can be opened, the body is destroyed. Throws draining and not_kept. */
function openSpool(spools: SpoolPool, { body, digests, size }: OriginAnswer): Spool {
  try {
    return spools.open({ size, digests: DIGESTS.filter((name) => digests[name] !== undefined) });
  } catch (error) {
    body.destroy();
    throw error;
  }
}

const DIGESTS: readonly DigestName[] = ["md5", "sha1"];

/** One answer of the origin, and the spool that takes its body. */
interface Arrival {
  readonly key: Key;
  readonly answer: OriginAnswer;
  readonly requestedAt: number;
  readonly spool: Spool;
}

/**
 * Receives the body and returns how the fill ended. `announce` is called once the first bytes show an image, unless the
 * body is complete by then. If the body is unusable, fails the spool and throws the reason.
 */
async function receiveBody(
  arrival: Arrival,
  { formats, now }: Pick<FillContext, "formats" | "now">,
  announce: (head: FillHead) => void,
): Promise<FillEnd> {
  const { key, answer, requestedAt, spool } = arrival;
  const { framing } = answer;
  const isFramingWhole = framing !== "close";
  const gate = createGate();
  let structure: Exclude<Verdict, { readonly kind: "broken" }>;
  try {
    await receive(arrival, { gate, formats, announce });
    spool.onRefused = undefined; // It holds the gate.
    // Bytes that followed the end in the same read have raised the desync by now.
    if (answer.desync.aborted)
      throw unusable("origin_unexpected", answer, "unrequested bytes followed it, so it may belong to another request");
    const verdict = gate.verdict({ framing, isFramingWhole, isHashRight: true });
    if (verdict.kind === "broken") throw broken(verdict.code, answer);
    structure = verdict;
  } catch (error) {
    const reason = asHuiyuanError(error);
    spool.fail(reason);
    throw reason;
  }
  const head: FillHead = { size: spool.received, image: structure.image, answer: headOf(answer), requestedAt, spool };
  const end = await finish(spool);
  const { hashes } = end.kind === "whole" ? end.body : end;
  const isHashRight = matchesDeclared(answer.digests, hashes);
  const verdict = isHashRight ? structure : gate.verdict({ framing, isFramingWhole, isHashRight });
  const damage = verdict.kind === "suspect" ? verdict.reason : undefined;
  if (end.kind === "whole" && damage !== undefined) return { kind: "suspect", head, body: end.body, damage };
  const info = describeFetched({ key, head, body: { size: spool.received, hashes }, now: now() });
  if (end.kind === "whole") return { kind: "whole", head, body: end.body, info };
  return { kind: "unstored", head, error: end.error, info, damage };
}

/** Field by field: V8 takes microseconds for the rest of an object. */
function headOf(answer: OriginAnswer): AnswerHead {
  const { isNotModified, url, size, framing, digests, etag, lastModified, life, headers, headMs, desync } = answer;
  return { isNotModified, url, size, framing, digests, etag, lastModified, life, headers, headMs, desync };
}

/** Called once all bytes have arrived. A body that the disk did not keep is judged like any other. */
async function finish(spool: Spool): Promise<Exclude<SpoolEnd, { readonly kind: "failed" }>> {
  try {
    return { kind: "whole", body: await spool.finish() };
  } catch (error) {
    if (spool.end?.kind === "unstored") return spool.end;
    throw error;
  }
}

interface Checks extends Pick<FillContext, "formats"> {
  readonly gate: Gate;
  readonly announce: (head: FillHead) => void;
}

/** Resolves when the message ended by its own framing; rejects if it broke off or cannot be used. */
function receive(arrival: Arrival, { gate, formats, announce }: Checks): Promise<void> {
  const { answer, requestedAt, spool } = arrival;
  return new Promise((resolve, reject) => {
    let isAnnounced = false;
    const refuse = (reason: HuiyuanError) => {
      answer.body.destroy();
      reject(reason);
      return false;
    };
    spool.onRefused = refuse;
    answer.body.start({
      data(chunk) {
        gate.push(chunk);
        const refusal = refusalOf(arrival, gate, formats);
        if (refusal !== undefined) return refuse(refusal);
        const mayContinue = spool.write(chunk);
        const { image } = gate;
        if (!isAnnounced && image !== undefined) {
          isAnnounced = true;
          // A body that ends in the same read is judged before its head is announced, and is then known to be whole.
          const { size } = answer;
          const announced = { size, image, answer: headOf(answer), requestedAt, spool };
          if (spool.received !== size) setImmediate(announce, announced);
        }
        if (!mayContinue) void spool.drained().then(() => answer.body.resume());
        return mayContinue;
      },
      end: resolve,
      error: reject,
    });
  });
}

/** The reason why the rest of the body is of no use; undefined: none so far. */
function refusalOf({ answer, spool }: Arrival, gate: Gate, formats: FillContext["formats"]): HuiyuanError | undefined {
  if (gate.head === "foreign") return broken("origin_not_image", answer);
  const { image } = gate;
  if (image !== undefined && formats?.has(image.format) === false)
    return unusable("origin_type_refused", answer, `${image.format} is not among allowedTypes`);
  return spool.end?.kind === "failed" ? spool.end.error : undefined;
}

function unusable(code: ErrorCode, { url }: OriginAnswer, found: string): HuiyuanError {
  return new HuiyuanError(code, `Cannot use the body of ${url}: ${found}`);
}

function broken(code: ErrorCode, answer: OriginAnswer): HuiyuanError {
  return unusable(code, answer, `${code}, a whole image is wanted`);
}

function matchesDeclared(declared: DeclaredDigests, hashes: Hashes): boolean {
  return (["md5", "sha1", "sha256"] as const).every(
    (name) => declared[name] === undefined || declared[name].toString("hex") === hashes[name],
  );
}
