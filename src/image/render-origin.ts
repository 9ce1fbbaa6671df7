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
  readonly bring: (() => Promise<BroughtBytes>) | undefined;
}

/** They stay here until they are released, whoever leaves. */
export interface BroughtBytes extends RenderBytes {
  release(): void;
}

export interface RenderOrigin extends Origin {
  /** Until the returned function is called, once, somebody waits for what fetch() of this key brings. */
  want(key: Key, job: RenderJob): () => void;
  /** The whole body of an answer of fetch(), until it is let go. */
  bytesOf(answer: OriginAnswer): Buffer | undefined;
  /** The body is kept elsewhere: whoever has the answer still, for a client that reads slowly, holds no bytes with it. */
  letGo(answer: OriginAnswer): void;
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

interface Wanted {
  /** One for each who waits. */
  readonly jobs: Set<RenderJob>;
  readonly nobody: CancellationSource;
  /** A process has it: what is begun is brought to its end, since it is likely to be asked for again. */
  hasBegun: boolean;
}

export function createRenderOrigin(renderer: Renderer, meter: RenderMeter): RenderOrigin {
  const wanted = new LiveMap<Key, Wanted>();
  const share = createSharedSignals();
  const bodies = new WeakMap<OriginAnswer, Result>();

  async function render(
    item: Wanted,
    { signal, listen }: SharedSignal,
  ): Promise<{ bytes: Buffer; milliseconds: number }> {
    const { jobs, nobody } = item;
    const stop = () => nobody.cancel(signal.reason);
    if (signal.aborted) stop();
    const stopListening = listen(stop);
    let beganAt = performance.now();
    let held: BroughtBytes | undefined;
    const load = async () => {
      beganAt = performance.now();
      return held === undefined ? ofAny(jobs, (job) => job.load()) : held.load();
    };
    const begin = () => {
      item.hasBegun = true;
    };
    const loadImage: RenderJob["loadImage"] = (url) =>
      held === undefined ? ofAny(jobs, (job) => job.loadImage(url)) : held.loadImage(url);
    try {
      const [job] = jobs;
      if (job === undefined) throw unwanted();
      const { recipe, size, image } = job;
      if (job.bring !== undefined) held = await ofAny(jobs, async ({ bring }) => bring && brought(bring(), nobody));
      const { bytes } = await renderer.render({ recipe, size, image, load, begin, loadImage, signal: nobody });
      return { bytes, milliseconds: performance.now() - beganAt };
    } finally {
      held?.release();
      stopListening();
    }
  }

  return {
    id: "renderer",
    want(key, job) {
      const item = wanted.get(key) ?? { jobs: new Set(), nobody: new CancellationSource(), hasBegun: false };
      wanted.set(key, item);
      item.jobs.add(job);
      return () => {
        item.jobs.delete(job);
        if (item.jobs.size > 0) return;
        if (wanted.get(key) === item) wanted.delete(key);
        if (!item.hasBegun) item.nobody.cancel(unwanted());
      };
    },
    async fetch({ key, signal }) {
      const item = wanted.get(key);
      if (item === undefined) throw unwanted();
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
    letGo(answer) {
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
async function ofAny<Value>(jobs: ReadonlySet<RenderJob>, read: (job: RenderJob) => Promise<Value>): Promise<Value> {
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
  throw lost ?? unwanted();
}

/** What comes when nobody waits for it any more is let go. */
function brought(coming: Promise<BroughtBytes>, nobody: Cancellation): Promise<BroughtBytes> {
  return abortable(coming, nobody).catch((error: unknown) => {
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

function unwanted(): HuiyuanError {
  return new HuiyuanError("client_gone", "Cannot render: nobody waits for it any more");
}
