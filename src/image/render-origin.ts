// Presents the renderer as an origin, so that a mirror can fetch a variant as a body. A caller registers the render job
// of a key before it fetches the key. A render that has not started is cancelled when its last job is withdrawn. It
// stores nothing.

import { abortable, type Cancellation, CancellationSource } from "../async/cancellation.ts";
import { LiveMap } from "../async/live-map.ts";
import { createSharedSignals, type SharedSignal } from "../async/shared-signals.ts";
import { HuiyuanError } from "../core/errors.ts";
import { type Key, MADE_HERE } from "../core/object.ts";
import type { Origin, OriginAnswer, OriginBody } from "../origin/origin.ts";
import type { Renderer, RenderRequest } from "./renderer.ts";

type RenderBytes = Pick<RenderRequest, "load" | "loadImage">;

/**
 * The render of a key, equal for all callers that register this key. Its functions are called only while it is
 * registered.
 */
export interface RenderJob extends RenderBytes, Pick<RenderRequest, "recipe" | "size" | "image"> {
  /**
   * Downloads remote images before the render waits for a slot, so that no slot waits for them. Undefined: all are
   * local.
   */
  readonly prefetch: (() => Promise<PrefetchedBytes>) | undefined;
}

/** Downloaded images; they stay local until `release`, whatever jobs are withdrawn. */
export interface PrefetchedBytes extends RenderBytes {
  release(): void;
}

export interface RenderOrigin extends Origin {
  /** Registers a job for fetch() of this key. The returned function withdraws it and must be called once. */
  register(key: Key, job: RenderJob): () => void;
  /** The whole body of an answer of fetch(); undefined after releaseBytes(). */
  bytesOf(answer: OriginAnswer): Buffer | undefined;
  /** Drops the body, which is stored elsewhere by now, so that an answer held for a slow client holds no bytes. */
  releaseBytes(answer: OriginAnswer): void;
}

/** `milliseconds`: from the slot to the result. */
export interface RenderMeter {
  rendered(milliseconds: number): void;
  failed(error: HuiyuanError): void;
}

/** A result of at most 64 MiB; undefined after releaseBytes(). */
interface Result {
  bytes: Buffer | undefined;
}

interface PendingRender {
  /** One a waiting caller. */
  readonly jobs: Set<RenderJob>;
  readonly cancellation: CancellationSource;
  /** A process has it. A started render is finished, because the variant is likely to be requested again. */
  hasStarted: boolean;
}

export function createRenderOrigin(renderer: Renderer, meter: RenderMeter): RenderOrigin {
  const pending = new LiveMap<Key, PendingRender>();
  const share = createSharedSignals();
  const bodies = new WeakMap<OriginAnswer, Result>();

  async function render(
    item: PendingRender,
    { signal, listen }: SharedSignal,
  ): Promise<{ bytes: Buffer; milliseconds: number }> {
    const { jobs, cancellation } = item;
    const stop = () => cancellation.cancel(signal.reason);
    if (signal.aborted) stop();
    const stopListening = listen(stop);
    let beganAt = performance.now();
    let held: PrefetchedBytes | undefined;
    const load = async () => {
      beganAt = performance.now();
      return held === undefined ? readAny(jobs, (job) => job.load()) : held.load();
    };
    const begin = () => {
      item.hasStarted = true;
    };
    const loadImage: RenderJob["loadImage"] = (url) =>
      held === undefined ? readAny(jobs, (job) => job.loadImage(url)) : held.loadImage(url);
    try {
      const [job] = jobs;
      if (job === undefined) throw abandoned();
      const { recipe, size, image } = job;
      if (job.prefetch !== undefined)
        held = await readAny(jobs, async ({ prefetch }) => prefetch && prefetched(prefetch(), cancellation));
      const { bytes } = await renderer.render({ recipe, size, image, load, begin, loadImage, signal: cancellation });
      return { bytes, milliseconds: performance.now() - beganAt };
    } finally {
      held?.release();
      stopListening();
    }
  }

  return {
    id: "renderer",
    register(key, job) {
      const item = pending.get(key) ?? { jobs: new Set(), cancellation: new CancellationSource(), hasStarted: false };
      pending.set(key, item);
      item.jobs.add(job);
      return () => {
        item.jobs.delete(job);
        if (item.jobs.size > 0) return;
        if (pending.get(key) === item) pending.delete(key);
        if (!item.hasStarted) item.cancellation.cancel(abandoned());
      };
    },
    async fetch({ key, signal }) {
      const item = pending.get(key);
      if (item === undefined) throw abandoned();
      try {
        const { bytes, milliseconds } = await render(item, share(signal));
        meter.rendered(milliseconds);
        const result = { bytes };
        const answer = answerOf(result, milliseconds);
        bodies.set(answer, result);
        return answer;
      } catch (error) {
        if (error instanceof HuiyuanError) meter.failed(error);
        throw error;
      }
    },
    bytesOf: (answer) => bodies.get(answer)?.bytes,
    releaseBytes(answer) {
      const result = bodies.get(answer);
      if (result !== undefined) result.bytes = undefined;
    },
    close: () => Promise.resolve(),
  };
}

/**
 * Reads from the first job whose bytes still exist. If a version is purged while many callers wait for its render, jobs
 * that found it in the bucket lose their bytes, and a job that has just fetched it does not. Throws original_replaced
 * if all lost theirs.
 */
async function readAny<Value>(jobs: ReadonlySet<RenderJob>, read: (job: RenderJob) => Promise<Value>): Promise<Value> {
  let lost: HuiyuanError | undefined;
  // Iteration over a Set skips jobs that are withdrawn meanwhile.
  for (const job of jobs) {
    try {
      return await read(job);
    } catch (error) {
      if (!(error instanceof HuiyuanError) || error.code !== "original_replaced") throw error;
      lost = error;
    }
  }
  throw lost ?? abandoned();
}

/** Releases images that arrive after the render was cancelled. */
function prefetched(coming: Promise<PrefetchedBytes>, cancellation: Cancellation): Promise<PrefetchedBytes> {
  return abortable(coming, cancellation).catch((error: unknown) => {
    coming.then(({ release }) => release()).catch(() => undefined); // Its failure is `error`, or no longer matters.
    throw error;
  });
}

function answerOf(result: Result, headMs: number): OriginAnswer {
  const body: OriginBody = {
    start(sink) {
      // The whole body is in memory already, so that pausing would save nothing.
      if (result.bytes !== undefined) sink.data(result.bytes);
      sink.end();
    },
    resume() {},
    destroy() {},
  };
  return {
    isNotModified: false,
    url: MADE_HERE,
    size: result.bytes?.length,
    framing: "length",
    digests: {},
    etag: undefined,
    lastModified: undefined,
    life: {},
    headers: {},
    headMs,
    body,
  };
}

function abandoned(): HuiyuanError {
  return new HuiyuanError("client_gone", "Cannot render: no client waits for the result");
}
