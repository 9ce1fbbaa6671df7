// The room's front: an image and a recipe in, the answer out, within every bound. It reads the claims of the head, waits for
// its turn, loads marks and gives the work to a process. It stores nothing and knows no URL.

import { abortable, type Cancellation } from "../async/cancellation.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { ImageFacts } from "../core/object.ts";
import { type KnownFacts, refuseHeavy, type SourceLimits, scanSource, weighedFacts } from "./formats/loaders.ts";
import { yieldingScan } from "./formats/yielding-scan.ts";
import type { OutputFormat, Recipe } from "./grammar/recipe.ts";
import { blamed, blaming } from "./limits/blame.ts";
import { createRenderQueue } from "./limits/render-queue.ts";
import { createRenderScheduler, type ScheduledSlot } from "./limits/render-scheduler.ts";
import { BYTES_PER_PIXEL, bytesToHold, bytesToRender } from "./limits/weight.ts";
import type { PipelineLimits, Rendered } from "./process/pipeline.ts";
import type { VerifyBody } from "./process/verify-decodable.ts";
import { loadWatermarks } from "./watermark-files.ts";
import { createRenderPool, PROCESS_BYTES } from "./workers/render-pool.ts";
import { createResultBatches } from "./workers/result-batches.ts";

/** What is known of an image before it is read. */
interface Claims {
  /** Bytes. */
  readonly size: number;
  /** What its head claims. */
  readonly image: ImageFacts;
}

export interface RenderRequest extends Claims {
  /**
   * Called when it is this image's turn, so that those who wait hold no bytes; and again where it takes far more memory than
   * it claims to, and has to wait once more for that.
   */
  readonly load: () => Promise<Buffer>;
  /** Called, once, when it is handed to a process: until then it waits, for a place or for memory, and nothing is lost with it. */
  readonly begin?: () => void;
  readonly recipe: Recipe;
  /** The image of a mark's URL without its token, looked up in the same bucket and nowhere else; undefined: there is none. */
  readonly loadImage: (url: string) => Promise<Buffer | undefined>;
  /** Aborting leaves the line; a render that has begun is not waited for any more. */
  readonly signal: Cancellation;
}

export interface VerifyRequest extends Claims {
  /** Called once, when it is this image's turn. A file must stay until the answer. */
  readonly load: () => Promise<VerifyBody>;
  readonly signal: Cancellation;
}

export interface Renderer {
  /**
   * Throws processing_invalid, image_not_processable, image_too_heavy, image_too_large, output_too_large,
   * render_timeout, render_failed, render_overloaded, and what `load` and `loadImage` throw.
   */
  render(request: RenderRequest): Promise<Rendered>;
  /**
   * Resolves when the image can be decoded whole, to its last pixel. Throws image_not_processable, image_too_large,
   * image_too_heavy, render_timeout, render_failed, render_overloaded, store_failed, and what `load` throws.
   */
  verify(request: VerifyRequest): Promise<void>;
  /** Of renders that begin now. */
  readonly limits: SourceLimits & PipelineLimits;
  readonly running: number;
  readonly waiting: number;
  /** Other limits for renders that begin from now on. */
  resize(options: RendererOptions): void;
  /** Ends the processes; what they render fails with render_failed. */
  close(): Promise<void>;
}

/** What an operator sets. The rest has defaults; of those the sizes of queue and processes are set once. */
export interface RendererOptions extends Partial<RendererLimits> {
  /** Renders at once. */
  readonly renders: number;
  /** Milliseconds one render may take. */
  readonly renderMs: number;
  /** Width × height × frames of a source and of everything on the way to the result. */
  readonly pixels: number;
  readonly frames: number;
}

export interface RendererLimits extends SourceLimits, PipelineLimits {
  /** How many may wait in each line, and for how many milliseconds. */
  readonly waiting: number;
  readonly waitMs: number;
  /** Bytes of memory of one render process, and of two, or as many, by estimate; more at once have PROCESS_BYTES each. */
  readonly residentBytes: number;
}

/** Of what a render may bring. */
export const MAX_RESULT_BYTES = 64 * 1024 * 1024;

/** Sides and bytes of sources are those of the manual of 2020. */
const DEFAULTS = {
  sourceBytes: 20 * 1024 * 1024,
  sourceSide: 30_000,
  outputSide: 9999,
  outputBytes: MAX_RESULT_BYTES,
  waiting: 256,
  waitMs: 10_000,
  residentBytes: 304 * 1024 * 1024,
} as const satisfies Partial<RendererLimits>;

/** Most take some 150 ms; one on a busy machine is not to be taken for one that hangs. */
const START_MS = 10_000;
const IDLE_MS = 30_000;
const LAST_IDLE_MS = 600_000;

/** Of a file that is proven: larger ones are one at a time, since a process holds the file and what it decodes. */
const LARGE_VERIFY_BYTES = 2 * 1024 * 1024;
/** Those who send so much have time, and a crowd of them takes it; a socket on which nothing moves is closed after 60 s. */
const LARGE_VERIFY_WAIT_MS = 48_000;

/** Processes start with the first render, so that a server without processing does not pay for them. */
export function createRenderer(options: RendererOptions): Renderer {
  let limits: RendererLimits = { ...DEFAULTS, ...options };
  const { renders, renderMs } = options;
  const { waiting: maxWaiting, waitMs, residentBytes } = limits;
  const maxBytes = residentBytes + Math.max(0, renders - 2) * PROCESS_BYTES;
  // No two that take more fit together into what two places have; and of more places, too, these shall keep but one.
  const largeBytes = residentBytes / 2;
  const largeSlots = Math.max(1, Math.floor(maxBytes / residentBytes));
  const scheduler = createRenderScheduler({ slots: renders, maxWaiting, waitMs, maxBytes, largeBytes, largeSlots });
  const resultBatches = createResultBatches(() => scheduler.waiting);
  const largeVerifyQueue = createRenderQueue({ slots: 1, maxWaiting, waitMs: LARGE_VERIFY_WAIT_MS, maxBytes });
  const known: KnownFacts = new WeakMap();
  const pool = createRenderPool({
    startMs: START_MS,
    renderMs,
    maxResidentBytes: residentBytes,
    maxTotalBytes: maxBytes,
    idleMs: IDLE_MS,
    lastIdleMs: LAST_IDLE_MS,
  });

  async function renderNow(
    { load, begin, recipe, loadImage, signal }: RenderRequest,
    slot: ScheduledSlot,
  ): Promise<Rendered | Larger> {
    const bytes = await load();
    const facts = await yieldingScan(scanSource(bytes, limits, known));
    const weighed = await yieldingScan(weighedFacts(facts, bytes));
    const watermarks = await loadWatermarks(recipe, loadImage, { facts, bytes });
    const held = bytesToHold(bytes.length);
    const weight = bytesToRender(weighed, recipe) + held + watermarks.bytesToLay;
    const allBytes = PROCESS_BYTES + weight;
    if (!(await slot.admits(allBytes, signal))) return { allBytes };
    await slot.reserve(allBytes, signal);
    if (signal.aborted) throw signal.reason;
    begin?.();
    const { pixels, outputSide, outputBytes } = limits;
    const request = { bytes, facts, recipe, watermarks: watermarks.files, limits: { pixels, outputSide, outputBytes } };
    const rendered = pool.render(request, weight);
    const most = residentBytes - PROCESS_BYTES;
    return rendered.catch((error: unknown) =>
      blaming(blamed(weighed, recipe, { held, laid: watermarks.bytesToLay, most }))(error),
    );
  }

  async function batched(rendered: Rendered | Larger): Promise<Rendered | Larger> {
    if (!("allBytes" in rendered)) await resultBatches.join(rendered.bytes.length);
    return rendered;
  }

  async function verifyInTurn({ load, image, size, signal }: VerifyRequest): Promise<void> {
    const weight = bytesToVerify(image) + bytesToHold(size);
    const slot = await scheduler.enter(PROCESS_BYTES + weight, signal);
    return abortable(verifyNow({ load, signal }, weight, slot).finally(slot.release), signal);
  }

  async function verifyNow(
    { load, signal }: Pick<VerifyRequest, "load" | "signal">,
    weight: number,
    { reserve }: ScheduledSlot,
  ): Promise<void> {
    await reserve(PROCESS_BYTES + weight, signal);
    const body = await load();
    if (signal.aborted) throw signal.reason;
    const { sourceBytes, sourceSide, pixels, frames } = limits;
    return pool.verify(body, { sourceBytes, sourceSide, pixels, frames }, weight);
  }

  return {
    async verify(request) {
      refuseUnverifiable(request, limits);
      if (request.size <= LARGE_VERIFY_BYTES) return verifyInTurn(request);
      const slot = await largeVerifyQueue.enter(request.signal);
      return verifyInTurn(request).finally(slot.release);
    },
    async render(request) {
      const { signal } = request;
      let allBytes = PROCESS_BYTES + bytesClaimed(request);
      for (;;) {
        const slot = await scheduler.enter(allBytes, signal);
        // The place is taken until the process is free again, also when nobody waits for the answer any more.
        const done = renderNow(request, slot).finally(slot.release);
        const rendered = await abortable(done.then(batched), signal);
        if (!("allBytes" in rendered)) return rendered;
        allBytes = rendered.allBytes;
      }
    },
    get limits() {
      return limits;
    },
    resize(next) {
      limits = { ...DEFAULTS, ...next };
      scheduler.resize(next.renders);
      pool.setDeadline(next.renderMs);
    },
    get running() {
      return scheduler.running;
    },
    get waiting() {
      return scheduler.waiting;
    },
    close: () => pool.close(),
  };
}

/** It takes more memory than was known, and has to wait for that among the large ones: bytes, those of the process too. */
interface Larger {
  readonly allBytes: number;
}

/** What no process need be asked for. */
function refuseUnverifiable({ size, image }: VerifyRequest, limits: SourceLimits): void {
  const { format, width = 0, height = 0 } = image;
  if (!isDecoded(format)) throw new HuiyuanError("image_not_processable", `Cannot process the image: it is ${format}`);
  refuseHeavy(size, limits);
  if (width * height > limits.pixels) {
    const found = `${width}×${height} pixels, the limit is ${limits.pixels}`;
    throw new HuiyuanError("image_too_large", `Cannot process: ${found}`);
  }
}

function isDecoded(format: ImageFacts["format"]): format is OutputFormat {
  return Object.hasOwn(BYTES_PER_PIXEL, format);
}

/** Bytes to render it, as far as its claims tell: of frames they do not. */
function bytesClaimed({ size, image, recipe }: RenderRequest): number {
  const { format, width = 0, height = 0 } = image;
  if (!isDecoded(format) || width * height === 0) return 0; // which will be refused
  return bytesToRender({ format, width, height, frames: 1 }, recipe) + bytesToHold(size);
}

/** Frames of a moving image are decoded one after the other. */
function bytesToVerify({ format, width = 0, height = 0 }: ImageFacts): number {
  return isDecoded(format) ? width * height * BYTES_PER_PIXEL[format] : 0;
}
