// Applies work to each frame of an animation alone. libvips stores the frames below each other in one tall image, so
// that a blur, for example, would mix neighbouring frames. A few frames are decoded at a time, so that memory is that
// of the results.
import sharp, { type Sharp } from "sharp";
import { allocatePixels } from "../pixels/memory.ts";
import { type Pixels, toPixels } from "../pixels/pixels.ts";

/** Work on one frame (`frames` is 1). All results must have the same size and number of channels. */
export type FrameWork = (frame: Pixels) => Promise<Pixels>;

/** Bytes of frames decoded at a time. Not less, because a GIF is read from its beginning for each part. */
const PART_BYTES = 32 * 1024 * 1024;

/** Makes work on a frame of a libvips operation. */
export function throughLibvips(step: (frame: Sharp) => Sharp): FrameWork {
  return ({ data, width, height, channels }) => toPixels(step(sharp(data, { raw: { width, height, channels } })), 1);
}

/** Applies the work to decoded frames. */
export function eachFrame(pixels: Pixels, work: FrameWork): Promise<Pixels> {
  return joined(framesOf(pixels), pixels.frames, work);
}

/** An animation that is still encoded. */
export interface EncodedFrames {
  /** Opens a range of its frames. */
  readonly open: (part: { readonly page: number; readonly pages: number }) => Sharp;
  /** Size of one frame in pixels. */
  readonly size: { readonly width: number; readonly height: number };
  readonly frames: number;
}

/** Applies the work to encoded frames, which are decoded part by part. */
export function eachEncodedFrame(encoded: EncodedFrames, work: FrameWork): Promise<Pixels> {
  return joined(decodedFrames(encoded), encoded.frames, work);
}

async function* decodedFrames({ open, size, frames }: EncodedFrames): AsyncGenerator<Pixels> {
  const partFrames = Math.max(1, Math.floor(PART_BYTES / (size.width * size.height * 4)));
  for (let page = 0; page < frames; page += partFrames) {
    const pages = Math.min(partFrames, frames - page);
    yield* framesOf(await toPixels(open({ page, pages }), pages));
  }
}

function framesOf({ data, frames, ...rest }: Pixels): Pixels[] {
  const bytes = data.length / frames;
  return Array.from({ length: frames }, (_, index) => ({
    ...rest,
    data: data.subarray(index * bytes, (index + 1) * bytes),
    frames: 1,
  }));
}

/** The results below each other in one buffer of the full size, allocated when the first one tells its size. */
async function joined(
  source: Iterable<Pixels> | AsyncIterable<Pixels>,
  frames: number,
  work: FrameWork,
): Promise<Pixels> {
  let [all, filled]: [Pixels | undefined, number] = [undefined, 0];
  for await (const frame of source) {
    const result = await work(frame);
    all ??= { ...result, data: allocatePixels(result.data.length * frames), frames };
    filled += result.data.copy(all.data, filled);
  }
  if (all !== undefined && filled === all.data.length) return all;
  throw new RangeError(`${frames} frames of equal size expected`);
}
