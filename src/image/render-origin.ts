// The renderer in the shape of an origin: what a mirror asks of it is a variant, and comes as a body. What is to be rendered
// is said beforehand, with `want`, for as long as somebody wants it; a render that nobody wants any more gives up its place.

import { abortable, type Cancellation, CancellationSource } from "../async/cancellation.ts";
import { LiveMap } from "../async/live-map.ts";
import { createSharedSignals, type SharedSignal } from "../async/shared-signals.ts";
import { HuiyuanError } from "../core/errors.ts";
import { type Key, MADE_HERE } from "../core/object.ts";
import type { Origin, OriginAnswer, OriginBody } from "../origin/origin.ts";
import type { Renderer, RenderRequest } from "./renderer.ts";

type RenderBytes = Pick<RenderRequest, "load" | "loadImage">;

/** What is rendered for a key; means the same for everyone who wants that key. It is called only while its owner wants it. */
export interface RenderJob extends RenderBytes, Pick<RenderRequest, "recipe" | "size" | "image"> {
  /** What does not lie here comes here before the turn, in which nobody else could render. Undefined: all of it is here. */
  readonly prefetch: (() => Promise<PrefetchedBytes>) | undefined;
}

/** They stay here until they are released, whoever leaves. */
export interface PrefetchedBytes extends RenderBytes {
  release(): void;
}

export interface RenderOrigin extends Origin {
  /** Until the returned function is called, once, somebody waits for what fetch() of this key brings. */
  register(key: Key, job: RenderJob): () => void;
  /** The whole body of an answer of fetch(), until it is let go. */
  bytesOf(answer: OriginAnswer): Buffer | undefined;
  /** The body is kept elsewhere: whoever has the answer still, for a client that reads slowly, holds no bytes with it. */
  releaseBytes(answer: OriginAnswer): void;
}

/** Milliseconds from an image's turn to its end. */
export interface RenderMeter {
  rendered(milliseconds: number): void;
  failed(error: HuiyuanError): void;
}

/** What was rendered, up to 64 MiB: undefined when it is let go. */
interface Result {
  bytes: Buffer | undefined;
}

interface PendingRender {
  /** One for each who waits. */
  readonly jobs: Set<RenderJob>;
  readonly cancellation: CancellationSource;
  /** A process has it: what is begun is brought to its end, since it is likely to be asked for again. */
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
 * What the first gives whose bytes are still to be had: of a version that is purged while many wait for one render, those who had
 * found it in the bucket have lost theirs, and whoever has just fetched it has not. Throws original_replaced where all have.
 */
async function readAny<Value>(jobs: ReadonlySet<RenderJob>, read: (job: RenderJob) => Promise<Value>): Promise<Value> {
  let lost: HuiyuanError | undefined;
  // Those that leave meanwhile are not asked.
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

/** What comes when nobody waits for it any more is let go. */
function prefetched(coming: Promise<PrefetchedBytes>, cancellation: Cancellation): Promise<PrefetchedBytes> {
  return abortable(coming, cancellation).catch((error: unknown) => {
    coming.then(({ release }) => release()).catch(() => undefined); // Its failure is `error`, or nobody's affair any more.
    throw error;
  });
}

function answerOf(result: Result, headMs: number): OriginAnswer {
  const body: OriginBody = {
    start(sink) {
      // All of it is in memory already, so that a pause would spare nothing.
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
  return new HuiyuanError("client_gone", "Cannot render: nobody waits for it any more");
}
