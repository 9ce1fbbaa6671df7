// The room's front: an image and a recipe in, the answer out, within every bound. It reads the claims of the head, waits for
// its turn, loads marks and gives the work to a process. It stores nothing and knows no URL.

import { abortable, type Cancellation } from "../async/cancellation.ts";
import { HuiyuanError } from "../core/errors.ts";
import type { ImageFacts } from "../core/object.ts";
import {
  type KnownFacts,
  type RasterFacts,
  refuseHeavy,
  type SourceLimits,
  walkSource,
  weighedFacts,
} from "./formats/loaders.ts";
import { yieldingScan } from "./formats/yielding-scan.ts";
import { MAX_MARK_PIXELS } from "./geometry/watermark-size.ts";
import { type OutputFormat, type Recipe, WATERMARK_PARAMETER, watermarkUrls } from "./grammar/recipe.ts";
import { blamed, blaming, WANTED_WATERMARK } from "./limits/blame.ts";
import { createRenderLines, type Turn } from "./limits/render-lines.ts";
import { createRenderQueue } from "./limits/render-queue.ts";
import { BYTES_PER_PIXEL, bytesToHold, bytesToLay, bytesToRender, heldImage } from "./limits/weight.ts";
import type { PipelineLimits, Rendered } from "./process/pipeline.ts";
import type { ProofBody } from "./process/verify-decodable.ts";
import { createDoneGroups } from "./workers/done-groups.ts";
import { createRenderPool, PROCESS_BYTES } from "./workers/render-pool.ts";

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

export interface ProofRequest extends Claims {
  /** Called once, when it is this image's turn. A file must stay until the answer. */
  readonly load: () => Promise<ProofBody>;
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
  verify(request: ProofRequest): Promise<void>;
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

/** Of the file of an image mark. */
export const MAX_WATERMARK_BYTES = 5 * 1024 * 1024;
const MARK_LIMITS = { sourceBytes: MAX_WATERMARK_BYTES, sourceSide: 10_000, pixels: MAX_MARK_PIXELS, frames: 1 };
/** Most take some 150 ms; one on a busy machine is not to be taken for one that hangs. */
const START_MS = 10_000;
const IDLE_MS = 30_000;
const LAST_IDLE_MS = 600_000;

/** Of a file that is proven: larger ones are one at a time, since a process holds the file and what it decodes. */
const LARGE_PROOF_BYTES = 2 * 1024 * 1024;
/** Those who send so much have time, and a crowd of them takes it; a socket on which nothing moves is closed after 60 s. */
const LARGE_PROOF_WAIT_MS = 48_000;

/** Processes start with the first render, so that a server without processing does not pay for them. */
export function createRenderer(options: RendererOptions): Renderer {
  let limits: RendererLimits = { ...DEFAULTS, ...options };
  const { renders, renderMs } = options;
  const { waiting: maxWaiting, waitMs, residentBytes } = limits;
  const maxBytes = residentBytes + Math.max(0, renders - 2) * PROCESS_BYTES;
  // No two that take more fit together into what two places have; and of more places, too, these shall keep but one.
  const largeBytes = residentBytes / 2;
  const largePlaces = Math.max(1, Math.floor(maxBytes / residentBytes));
  const lines = createRenderLines({ places: renders, maxWaiting, waitMs, maxBytes, largeBytes, largePlaces });
  const doneGroups = createDoneGroups(() => lines.waiting);
  const forLargeProofs = createRenderQueue({ places: 1, maxWaiting, waitMs: LARGE_PROOF_WAIT_MS, maxBytes });
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
    turn: Turn,
  ): Promise<Rendered | Larger> {
    const bytes = await load();
    const facts = await yieldingScan(walkSource(bytes, limits, known));
    const weighed = await yieldingScan(weighedFacts(facts, bytes));
    const watermarks = await loadWatermarks(recipe, loadImage, { facts, bytes });
    const held = bytesToHold(bytes.length);
    const weight = bytesToRender(weighed, recipe) + held + watermarks.bytesToLay;
    const allBytes = PROCESS_BYTES + weight;
    if (!(await turn.admits(allBytes, signal))) return { allBytes };
    await turn.weigh(allBytes, signal);
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

  async function gathered(rendered: Rendered | Larger): Promise<Rendered | Larger> {
    if (!("allBytes" in rendered)) await doneGroups.gather(rendered.bytes.length);
    return rendered;
  }

  async function verifyInTurn({ load, image, size, signal }: ProofRequest): Promise<void> {
    const weight = bytesToProve(image) + bytesToHold(size);
    const turn = await lines.enter(PROCESS_BYTES + weight, signal);
    return abortable(verifyNow({ load, signal }, weight, turn).finally(turn.leave), signal);
  }

  async function verifyNow(
    { load, signal }: Pick<ProofRequest, "load" | "signal">,
    weight: number,
    { weigh }: Turn,
  ): Promise<void> {
    await weigh(PROCESS_BYTES + weight, signal);
    const body = await load();
    if (signal.aborted) throw signal.reason;
    const { sourceBytes, sourceSide, pixels, frames } = limits;
    return pool.verify(body, { sourceBytes, sourceSide, pixels, frames }, weight);
  }

  return {
    async verify(request) {
      refuseUnprovable(request, limits);
      if (request.size <= LARGE_PROOF_BYTES) return verifyInTurn(request);
      const place = await forLargeProofs.enter(request.signal);
      return verifyInTurn(request).finally(place.leave);
    },
    async render(request) {
      const { signal } = request;
      let allBytes = PROCESS_BYTES + bytesClaimed(request);
      for (;;) {
        const turn = await lines.enter(allBytes, signal);
        // The place is taken until the process is free again, also when nobody waits for the answer any more.
        const done = renderNow(request, turn).finally(turn.leave);
        const rendered = await abortable(done.then(gathered), signal);
        if (!("allBytes" in rendered)) return rendered;
        allBytes = rendered.allBytes;
      }
    },
    get limits() {
      return limits;
    },
    resize(next) {
      limits = { ...DEFAULTS, ...next };
      lines.resize(next.renders);
      pool.setDeadline(next.renderMs);
    },
    get running() {
      return lines.running;
    },
    get waiting() {
      return lines.waiting;
    },
    close: () => pool.close(),
  };
}

/** It takes more memory than was known, and has to wait for that among the large ones: bytes, those of the process too. */
interface Larger {
  readonly allBytes: number;
}

async function loadWatermarks(
  recipe: Recipe,
  loadImage: RenderRequest["loadImage"],
  original: { readonly facts: RasterFacts; readonly bytes: Buffer },
): Promise<{ readonly files: ReadonlyMap<string, Buffer>; readonly bytesToLay: number }> {
  const files = new Map<string, Buffer>();
  const urls = watermarkUrls(recipe);
  if (urls.length === 0) return { files, bytesToLay: 0 };
  const image = await yieldingScan(heldImage(original.facts, original.bytes));
  let bytesForAll = 0;
  for (const url of urls) {
    const bytes = await loadImage(url);
    if (bytes === undefined) throw badWatermark(url, "there is no such image in this bucket");
    const watermark = await yieldingScan(heldImage(await readWatermarkImage(url, bytes), bytes));
    bytesForAll += bytesToLay(watermark, url, image, recipe);
    files.set(url, bytes);
  }
  return { files, bytesToLay: bytesForAll };
}

async function readWatermarkImage(url: string, bytes: Buffer): Promise<RasterFacts> {
  try {
    return await yieldingScan(walkSource(bytes, MARK_LIMITS));
  } catch (error) {
    const found =
      error instanceof HuiyuanError ? error.message.replace(/^Cannot process[^:]*: /, "") : "it is unreadable";
    throw badWatermark(url, found, error); // what was found is said of the mark, not of the image
  }
}

function badWatermark(url: string, found: string, cause?: unknown): HuiyuanError {
  const message = `Cannot lay "${url}" over the image: ${found}`;
  return new HuiyuanError("processing_invalid", message, {
    parameter: WATERMARK_PARAMETER,
    wanted: WANTED_WATERMARK,
    cause,
  });
}

/** What no process need be asked for. */
function refuseUnprovable({ size, image }: ProofRequest, limits: SourceLimits): void {
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
function bytesToProve({ format, width = 0, height = 0 }: ImageFacts): number {
  return isDecoded(format) ? width * height * BYTES_PER_PIXEL[format] : 0;
}
