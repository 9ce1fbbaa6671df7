// The frames of an animation, one by one: libvips keeps them below each other as one tall image, and whatever looks around a
// pixel would see the next frame there. Decodes a part of them at a time, so that memory is that of the results.
import sharp, { type Sharp } from "sharp";
import { allocatePixels } from "../pixels/memory.ts";
import { type Pixels, toPixels } from "../pixels/pixels.ts";

/** What is done to one frame (`frames` is 1); results have one size and one number of channels. */
export type FrameWork = (frame: Pixels) => Promise<Pixels>;

/** Bytes of decoded frames that wait for their work. A GIF is read from its beginning for each part. */
const PART_BYTES = 32 * 1024 * 1024;

/** A step of libvips as work on a frame. */
export function throughLibvips(step: (frame: Sharp) => Sharp): FrameWork {
  return ({ data, width, height, channels }) => toPixels(step(sharp(data, { raw: { width, height, channels } })), 1);
}

/** The work done on frames that are pixels already. */
export async function eachFrame(pixels: Pixels, work: FrameWork): Promise<Pixels> {
  const buffer = createFrameBuffer(pixels.frames);
  for (const frame of framesOf(pixels)) buffer.add(await work(frame));
  return buffer.all();
}

/** An animation that is still encoded. */
export interface EncodedFrames {
  /** Opens some of its frames. */
  readonly open: (part: { readonly page: number; readonly pages: number }) => Sharp;
  /** The page of the first one. */
  readonly firstPage: number;
  /** Pixels, of one frame. */
  readonly size: { readonly width: number; readonly height: number };
  readonly frames: number;
}

/** The work done on frames as they are decoded. */
export async function eachEncodedFrame(
  { open, firstPage, size, frames }: EncodedFrames,
  work: FrameWork,
): Promise<Pixels> {
  const partFrames = Math.max(1, Math.floor(PART_BYTES / (size.width * size.height * 4)));
  const buffer = createFrameBuffer(frames);
  for (let page = 0; page < frames; page += partFrames) {
    const pages = Math.min(partFrames, frames - page);
    const part = await toPixels(open({ page: firstPage + page, pages }), pages);
    for (const frame of framesOf(part)) buffer.add(await work(frame));
  }
  return buffer.all();
}

function framesOf({ data, frames, ...rest }: Pixels): Pixels[] {
  const bytes = data.length / frames;
  return Array.from({ length: frames }, (_, index) => ({
    ...rest,
    data: data.subarray(index * bytes, (index + 1) * bytes),
    frames: 1,
  }));
}

/** Lays frames below each other in one buffer of their whole size, made when the first one tells it. */
function createFrameBuffer(frames: number) {
  let [all, filled]: [Pixels | undefined, number] = [undefined, 0];
  return {
    add(frame: Pixels): void {
      all ??= { ...frame, data: allocatePixels(frame.data.length * frames), frames };
      filled += frame.data.copy(all.data, filled);
    },
    all(): Pixels {
      if (all === undefined || filled !== all.data.length) throw new RangeError(`${frames} equal frames were awaited`);
      return all;
    },
  };
}
