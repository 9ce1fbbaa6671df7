// The variants of one bucket that are being rendered, or whose writes are pending: finds the one that a request may
// join, starts new ones, and stores their results. A failure of the image is remembered for a short time.

import { shareSignal } from "../../../async/cancellation.ts";
import { LiveMap } from "../../../async/live-map.ts";
import type { Semaphore } from "../../../async/semaphore.ts";
import { asHuiyuanError, errorKind, HuiyuanError } from "../../../core/errors.ts";
import { type ImageFacts, type Key, MADE_HERE, type ObjectInfo } from "../../../core/object.ts";
import { createGate } from "../../body/gate/gate.ts";
import { digestBytes } from "../../body/spool/hashing.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { describeObject } from "../../bucket/contract/bucket.ts";
import type { Renderer } from "../../image/renderer.ts";
import { createExpiring } from "../expiring.ts";
import type { MirrorMeter } from "../meter.ts";
import type { MirrorParts } from "../mirror-context.ts";
import type { Stored } from "../stored/stored.ts";
import type { WriteBack } from "../storing/write-back.ts";
import { type RenderTask, type SharedRender, startRender } from "./shared-render.ts";

export interface VariantMeter extends Pick<MirrorMeter, "collapsed" | "stored" | "notStored"> {
  /** `milliseconds`: from the slot to the result. */
  rendered(milliseconds: number): void;
  failed(error: HuiyuanError): void;
}

/** The services that the variants of all buckets share. */
export interface VariantParts extends Pick<MirrorParts, "log" | "now" | "ticks" | "signal"> {
  readonly renderer: Renderer;
  readonly meter: VariantMeter;
  /** For variants only. */
  readonly writeBack: WriteBack;
  /** The memory for results whose writes are pending. */
  readonly room: Semaphore;
  /** Counts the renders of the program, also those that wait. */
  readonly renders: Semaphore;
}

/** A proven result, ready to be sent and stored. */
export interface Result {
  readonly info: ObjectInfo;
  readonly body: WholeBody;
  readonly bytes: Buffer;
}

/** A variant that a request may join. */
export interface RunningRender {
  readonly key: Key;
  readonly render: SharedRender;
  /** Rejects with the codes of Renderer.render. */
  readonly result: Promise<Result>;
  /** Resolves once the result is stored or given up; never rejects. */
  readonly settled: Promise<void>;
  /** The render has ended, and the write of its result is pending. */
  hasEnded: boolean;
  /** True if at least one of its requests allows to store the result, and its original is still there. */
  isStored: boolean;
}

export interface RenderStart extends RenderTask, Pick<RunningRender, "isStored"> {
  /** Called before the render begins; its error refuses the render. */
  readonly beforeRender?: (() => void) | undefined;
}

const MAX_FAILED = 2_000;
/** An image that cannot be processed is not rendered again for this time. Milliseconds. */
const UNPROCESSABLE_MS = 10_000;

/** `stored`: the bucket of the variants. `notStored` is called with a result that could not be stored. */
export function createRunningRenders(
  stored: Stored,
  notStored: (result: Result) => void,
  { renderer, meter, writeBack, room, renders, log, now, ticks = () => performance.now(), signal }: VariantParts,
) {
  const stop = shareSignal(signal);
  const running = new LiveMap<Key, RunningRender>();
  const failures = createExpiring<HuiyuanError>(MAX_FAILED);

  async function finish(key: Key, render: SharedRender): Promise<Result> {
    try {
      const { bytes, milliseconds } = await render.result;
      meter.rendered(milliseconds);
      return describeResult(key, bytes, now());
    } catch (caught) {
      const error = asHuiyuanError(caught);
      meter.failed(error);
      // The client is told; it is no warning for the operator.
      log.debug({ bucket: stored.bucketId, key, code: error.code, err: error }, "a variant could not be rendered");
      const ttlMs = errorKind(error) === "image" ? UNPROCESSABLE_MS : 0;
      failures.set(key, error, { now: ticks(), ttlMs });
      throw error;
    }
  }

  async function store(result: Result): Promise<void> {
    const { info, body } = result;
    const release = room.tryAcquire(info.size);
    if (release === undefined) meter.notStored("overloaded");
    else if ((await writeBack.store({ stored, info, epoch: 0, body, spool: { release } })) === undefined) return;
    notStored(result);
  }

  async function settle(item: RunningRender): Promise<void> {
    const result = await item.result.catch(() => undefined); // Each request that waits gets the failure.
    item.hasEnded = true;
    try {
      // Before the next turn: a stop waits for the renders first, and for the pending writes then.
      if (result !== undefined && item.isStored) await store(result);
    } finally {
      if (running.get(item.key) === item) running.delete(item.key);
    }
  }

  /** The recent failure that start() would throw. */
  const failure = (key: Key): HuiyuanError | undefined => failures.get(key, ticks());

  return {
    /** Undefined if none runs that a request may join. */
    find(key: Key): RunningRender | undefined {
      const item = running.get(key);
      return item?.render.isJoinable() === true ? item : undefined;
    },
    /** Keys that begin so are not stored from now on. Resolves when their pending writes have ended. */
    async withdraw(prefix: string): Promise<void> {
      const items = [...running.values()].filter(({ key }) => key.startsWith(prefix));
      for (const item of items) item.isStored = false;
      await Promise.all(items.map(({ hasEnded, settled }) => hasEnded && settled));
    },
    /** Throws a recent failure of the same variant, draining, the codes of `beforeRender`, and overloaded. */
    start(key: Key, { isStored, beforeRender, ...task }: RenderStart): RunningRender {
      const known = failure(key);
      if (known !== undefined) throw known;
      if (signal.aborted) throw new HuiyuanError("draining", "Cannot render: the server is stopping");
      beforeRender?.();
      const release = renders.tryAcquire();
      if (release === undefined)
        throw new HuiyuanError("overloaded", `Cannot render: ${renders.running} renders run or wait`, {
          retryAfterSeconds: 1,
        });
      const render = startRender(renderer, task, stop);
      const result = finish(key, render).finally(release);
      const item = { key, render, result, hasEnded: false, isStored, settled: Promise.resolve() };
      item.settled = settle(item);
      running.set(key, item);
      return item;
    },
    failure,
  };
}

const OPENING_BRACE = 0x7b;
/** The bucket of variants is always on this disk, and needs no other digest than SHA-256. */
const NO_DIGESTS: ReadonlySet<never> = new Set();

/** `now`: Unix milliseconds. Throws render_failed if the result is neither a whole image nor facts about one. */
function describeResult(key: Key, bytes: Buffer, now: number): Result {
  const image = provenImage(bytes);
  const body = {
    size: bytes.length,
    ...digestBytes(bytes, NO_DIGESTS),
    content: { kind: "buffer", buffer: bytes },
  } as const;
  const provenance = {
    via: "mirror",
    originUrl: MADE_HERE,
    originEtag: undefined,
    originLastModified: undefined,
    fetchedAt: now,
    validated: { at: now, life: {} },
  } as const;
  return { info: describeObject({ key, body, image, provenance, now }), body, bytes };
}

function provenImage(bytes: Buffer): ImageFacts {
  // No image begins with a brace. A result that does is JSON of this program.
  if (bytes[0] === OPENING_BRACE) return { format: "json", width: undefined, height: undefined };
  const gate = createGate();
  gate.push(bytes);
  const verdict = gate.verdict({ framing: "length", isFramingWhole: true, isHashRight: true });
  if (verdict.kind === "whole") return verdict.image;
  throw new HuiyuanError("render_failed", `Cannot process: the result is no whole image (${verdict.kind})`);
}
