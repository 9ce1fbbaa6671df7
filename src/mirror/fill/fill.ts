// One fetch of one key, shared by all requests that wait for it. It outlives those requests; only the deadlines of the
// origin end it. It proves the body and stores nothing: fill-effects.ts hands the finished spool to write-back.ts.
import { createGate } from "../../body/gate/gate.ts";
import type { Spool } from "../../body/spool/spool.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { DigestName, Key, ObjectFormat } from "../../core/object.ts";
import type { Origin, OriginAnswer, OriginTarget, Validators } from "../../origin/origin.ts";
import type { MirrorMeter } from "../meter.ts";
import { receiveBody } from "./arrival.ts";
import { describeFetched, type FillEnd, type FillHead } from "./fill-end.ts";

export interface Fill {
  /** Equal for requests that share the fill. */
  readonly id: string;
  readonly key: Key;
  /** False: the answer depends on more than the key, so it is not stored. */
  readonly isStored: boolean;
  /** The key's epoch when the fill began; the body is not stored once that has moved on. */
  readonly epoch: number;
  /** Undefined: absent or current. Rejects with the reason if no head will come. */
  readonly head: Promise<FillHead | undefined>;
  /** Never rejects. */
  readonly done: Promise<FillEnd>;
  /** Undefined while bytes may still arrive. */
  readonly end: FillEnd | undefined;
  /** Undefined before the head. */
  readonly spool: Spool | undefined;
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
  let resolveHead!: (head: FillHead | undefined) => void;
  let rejectHead!: (reason: HuiyuanError) => void;
  const head = new Promise<FillHead | undefined>((resolve, reject) => {
    resolveHead = resolve;
    rejectHead = reject;
  });
  // When a fill fails, perhaps no request waits for it any more.
  head.catch(() => undefined);
  const announce = (known: FillHead) => {
    fill.spool = known.spool;
    resolveHead(known);
  };
  const done = run(request, context, announce).then((outcome) => {
    fill.end = outcome;
    if (outcome.kind === "failed") rejectHead(outcome.error);
    else if ("head" in outcome) announce(outcome.head);
    else resolveHead(undefined);
    return outcome;
  });
  // Fields and no getters: V8 makes a slow object of every literal with a getter.
  const { id, key, isStored, epoch } = request;
  const fill: { -readonly [Name in keyof Fill]: Fill[Name] } = {
    id,
    key,
    isStored,
    epoch,
    head,
    done,
    end: undefined,
    spool: undefined,
  };
  return fill;
}

type Announce = (head: FillHead) => void;

async function run(request: FillRequest, context: FillContext, announce: Announce): Promise<FillEnd> {
  const { signal, meter } = context;
  try {
    if (signal.aborted) throw new HuiyuanError("draining", "Cannot fetch: the server is stopping");
    let isStarted = false;
    const onSend = () => {
      if (!isStarted) meter.fillStarted();
      isStarted = true;
    };
    const first = await attempt(request, context, { announce, onSend });
    if (first.kind !== "cut") return first;
    meter.retried();
    const second = await attempt(request, context, { announce, onSend });
    return second.kind === "cut" ? { kind: "failed", error: second.error } : second;
  } catch (error) {
    return { kind: "failed", error: asHuiyuanError(error) };
  }
}

/** The body broke off before its head was announced, so that a second attempt may replace it. */
interface Cut {
  readonly kind: "cut";
  readonly error: HuiyuanError;
}

/** One request to the origin. Throws the reason if no usable body arrived. */
async function attempt(
  request: FillRequest,
  context: FillContext,
  { announce, onSend }: { readonly announce: Announce; readonly onSend: () => void },
): Promise<FillEnd | Cut> {
  const { maxBytes, signal, origin } = context;
  const { key, requestedAt, path, query, headers, followsRedirects, via, cdnLoop, unless } = request;
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
    onSend,
  });
  if (answer === undefined) return { kind: "absent" };
  context.meter.originAnswered(answer.headMs);
  if (answer.isNotModified) return { kind: "current", answer };
  const spool = openSpool(context.spools, answer);
  let isOver = false;
  let isKnown = false;
  const announceOnce = (head: FillHead) => {
    if (isOver) return;
    isKnown = true;
    announce(head);
  };
  const { formats, now } = context;
  try {
    return await receiveBody({
      answer,
      requestedAt,
      spool,
      gate: createGate(),
      announce: announceOnce,
      describe: (head, body) => describeFetched({ key, head, body, now: now() }),
      formats,
    });
  } catch (caught) {
    isOver = true;
    spool.release();
    const error = asHuiyuanError(caught);
    if (isKnown || error.code !== "origin_truncated") throw error;
    return { kind: "cut", error };
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
