// Changes the samples of a frame in place: brightness, contrast, grey. Alpha stays. Works on decoded pixels only.
import type { Pixels } from "../pixels/pixels.ts";

/** `amount`: -100 (black) to 100 (white), added to each sample. */
export function brighten(frame: Pixels, amount: number): Pixels {
  return mapped(frame, (sample) => sample + (amount * 255) / 100);
}

/** `amount`: -100 (grey) to 100 (black and white). The slope is ImageMagick's: 1 at 0, steeper above. */
export function contrast(frame: Pixels, amount: number): Pixels {
  const slope = Math.tan(((amount / 100 + 1) * Math.PI) / 4);
  return mapped(frame, (sample) => (sample - 127.5) * slope + 127.5);
}

function mapped(frame: Pixels, map: (sample: number) => number): Pixels {
  // A clamped array rounds and limits values to 0–255.
  const table = Uint8ClampedArray.from({ length: 256 }, (_, sample) => map(sample));
  const { data, channels } = frame;
  for (let at = 0; at < data.length; at += channels)
    for (let sample = at; sample < at + 3; sample += 1) data[sample] = table[data[sample]!]!;
  return frame;
}

/** Grey by luma (ITU-R BT.709). */
export function greyed(frame: Pixels): Pixels {
  const { data, channels } = frame;
  for (let at = 0; at < data.length; at += channels)
    data.fill(Math.round(0.2126 * data[at]! + 0.7152 * data[at + 1]! + 0.0722 * data[at + 2]!), at, at + 3);
  return frame;
}
