// Renders an image by a recipe within all limits. It estimates the memory from the image's head, waits for a slot,
// loads the image and its watermarks, and gives the work to a render process. It stores nothing and does not know the
// image's URL.

import { abortable, type Cancellation } from "../../async/cancellation.ts";
import { createSemaphore } from "../../async/semaphore.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ImageFacts } from "../../core/object.ts";
import {
  isProcessable,
  type KnownFacts,
  refuseBeyond,
  refuseHeavy,
  type SourceLimits,
  scanSource,
} from "./formats/loaders.ts";
import { yieldingScan } from "./formats/yielding-scan.ts";
import type { Recipe } from "./grammar/recipe.ts";
import { createRenderScheduler, overloaded, type RenderSlot } from "./limits/render-scheduler.ts";
import { bytesToHold, bytesToRender } from "./limits/weight.ts";
import type { PipelineLimits } from "./process/pipeline.ts";
import { loadWatermarks } from "./watermark-files.ts";
import { createRenderPool, PROCESS_BYTES } from "./workers/render-pool.ts";
import { createResultBatches } from "./workers/result-batches.ts";

/** Facts about an image before it is loaded. */
interface Claims {
  /** Bytes. */
  readonly size: number;
  /** Claims of its head. */
  readonly image: ImageFacts;
}

export interface RenderRequest extends Claims {
  /**
   * Called when the render has a slot, so that waiting renders hold no bytes. Called again if the image needs far more
   * memory than its head claims and has to wait once more.
   */
  readonly load: () => Promise<Buffer>;
  /**
   * Called once, when a process gets the image. Until then the render waits for a slot or memory, and cancelling loses
   * nothing.
   */
  readonly begin?: () => void;
  readonly recipe: Recipe;
  /** The image of a watermark URL without its token, from the same bucket only; undefined if there is none. */
  readonly loadImage: (url: string) => Promise<Buffer | undefined>;
  /** An abort leaves the queue. A started render continues, but its result is dropped. */
  readonly signal: Cancellation;
}

export type VerifyRequest = Pick<RenderRequest, "size" | "image" | "load" | "signal">;

export interface Renderer {
  /**
   * Throws processing_invalid, image_not_processable, image_too_heavy, image_too_large, output_too_large,
   * render_timeout, render_failed, render_overloaded, and what `load` and `loadImage` throw.
   */
  render(request: RenderRequest): Promise<Buffer>;
  /**
   * Resolves if the image can be decoded to its last pixel. Throws image_not_processable, image_too_large,
   * image_too_heavy, render_timeout, render_failed, render_overloaded, store_failed, and what `load` throws.
   */
  verify(request: VerifyRequest): Promise<void>;
  /** Limits of renders that start now. */
  readonly limits: SourceLimits & PipelineLimits;
  readonly running: number;
  readonly waiting: number;
  /** Changes the limits of renders that start from now on. */
  resize(options: RendererOptions): void;
  /** Ends the processes; their renders fail with render_failed. */
  close(): Promise<void>;
}

/** Options set by the operator. The others have defaults; queue and process sizes do not change after the start. */
export type RendererOptions = Partial<RendererLimits> &
  Pick<RendererLimits, "pixels" | "frames"> & {
    /** Renders at once. */
    readonly renders: number;
    /** Milliseconds that one render may take. */
    readonly renderMs: number;
  };

export interface RendererLimits extends SourceLimits, PipelineLimits {
  /** Renders that may wait in each queue. */
  readonly waiting: number;
  /** Milliseconds that a render may wait. */
  readonly waitMs: number;
  /**
   * Bytes of memory of one render process, and by estimate of two together. Each further process adds PROCESS_BYTES.
   */
  readonly residentBytes: number;
}

/** Bytes of a result at most. */
export const MAX_RESULT_BYTES = 64 * 1024 * 1024;
/** Pixels of a side of a result at most. */
const MAX_OUTPUT_SIDE = 9999;

/** Sides and bytes of sources follow the manual of 2020. */
const DEFAULTS = {
  sourceBytes: 20 * 1024 * 1024,
  sourceSide: 30_000,
  outputSide: MAX_OUTPUT_SIDE,
  outputBytes: MAX_RESULT_BYTES,
  waiting: 256,
  waitMs: 10_000,
  residentBytes: 304 * 1024 * 1024,
} as const satisfies Partial<RendererLimits>;

/** A start usually takes 150 ms; on a busy machine it takes longer without hanging. */
const START_MS = 10_000;
const IDLE_MS = 300_000;

/** Larger files are verified one at a time, because a process holds the file and its decoded rows. */
const LARGE_VERIFY_BYTES = 2 * 1024 * 1024;
/** Uploads of large files may wait long, because many can arrive at once; an idle socket is closed after 60 s. */
const LARGE_VERIFY_WAIT_MS = 48_000;

const DECODABLE: Recipe = { steps: [], output: {}, inspection: "decodable" };

/** Processes start with the first render, so that a server without image processing has none. */
export function createRenderer(options: RendererOptions): Renderer {
  let limits: RendererLimits = { ...DEFAULTS, ...options };
  const { renders, renderMs } = options;
  const { waiting: maxWaiting, waitMs, residentBytes } = limits;
  const maxBytes = residentBytes + Math.max(0, renders - 2) * PROCESS_BYTES;
  // Two renders above this do not fit together into the memory of two slots. With more slots, too, such renders share
  // few.
  const largeBytes = residentBytes / 2;
  const largeSlots = Math.max(1, Math.floor(maxBytes / residentBytes));
  const scheduler = createRenderScheduler({ slots: renders, maxWaiting, waitMs, maxBytes, largeBytes, largeSlots });
  const resultBatches = createResultBatches(() => scheduler.waiting);
  const largeVerifySlot = createSemaphore(1, { maxWaiting, waitMs: LARGE_VERIFY_WAIT_MS, overloaded });
  const known: KnownFacts = new WeakMap();
  const pool = createRenderPool({
    startMs: START_MS,
    renderMs,
    maxResidentBytes: residentBytes,
    maxTotalBytes: maxBytes,
    idleMs: IDLE_MS,
  });

  /** A number: the render needs these bytes, more than its head claims, and must wait among the large ones. */
  async function renderNow(
    { load, begin, recipe, loadImage, signal }: RenderRequest,
    slot: RenderSlot,
  ): Promise<Buffer | number> {
    const bytes = await load();
    const facts = await yieldingScan(scanSource(bytes, limits, known));
    const watermarks = await loadWatermarks(recipe, loadImage);
    const weight = bytesToRender(facts, recipe, watermarks.facts) + bytesToHold(bytes.length);
    const allBytes = PROCESS_BYTES + weight;
    if (!(await slot.reserve(allBytes, signal))) return allBytes;
    if (signal.aborted) throw signal.reason;
    begin?.();
    const { pixels, outputSide, outputBytes } = limits;
    const request = { bytes, facts, recipe, watermarks: watermarks.files, limits: { pixels, outputSide, outputBytes } };
    return pool.render(request, weight);
  }

  async function renderInTurn(request: RenderRequest): Promise<Buffer> {
    const { signal } = request;
    let allBytes = PROCESS_BYTES + bytesClaimed(request);
    for (;;) {
      const slot = await scheduler.enter(allBytes, signal);
      // The slot stays in use until the process is free again, even if the client has gone.
      const rendered = await abortable(renderNow(request, slot).finally(slot.release), signal);
      if (typeof rendered !== "number") return rendered;
      allBytes = rendered;
    }
  }

  return {
    async verify(request) {
      const { format, width = 0, height = 0 } = request.image;
      if (!isProcessable(format))
        throw new HuiyuanError("image_not_processable", `Cannot process the image: it is ${format}`);
      refuseHeavy(request.size, limits);
      refuseBeyond({ width, height, frames: 1 }, limits);
      const release = request.size > LARGE_VERIFY_BYTES ? await largeVerifySlot.acquire(request.signal) : undefined;
      await renderInTurn({ ...request, recipe: DECODABLE, loadImage: async () => undefined }).finally(release);
    },
    async render(request) {
      const rendered = await renderInTurn(request);
      await abortable(resultBatches.join(rendered.length), request.signal);
      return rendered;
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

/** Bytes to render the image by the claims of its head, which do not include frames. */
function bytesClaimed({ size, image, recipe }: RenderRequest): number {
  const { format, width = 0, height = 0 } = image;
  if (!isProcessable(format) || width * height === 0) return 0; // will be refused once loaded
  return bytesToRender({ format, width, height, frames: 1 }, recipe) + bytesToHold(size);
}
