// Limits of the size of a result and of intermediate images. Pure: it does no I/O.
import { HuiyuanError } from "../../../core/errors.ts";
import { areaOf, type Size } from "./geometry.ts";

/** Throws output_too_large if all frames of an intermediate image have more pixels together. */
export function refuseManyPixels(size: Size, frames: number, maxPixels: number): void {
  const found = `${size.width}×${size.height} pixels in ${frames} frames`;
  if (areaOf(size) * frames > maxPixels) refuse(found, `at most ${maxPixels} pixels in all frames together`);
}

/** Throws output_too_large if a side of the result is longer. */
export function refuseLargeResult({ width, height }: Size, maxSide: number): void {
  if (Math.max(width, height) > maxSide) refuse(`${width}×${height} pixels`, `sides of at most ${maxSide} pixels`);
}

/** Throws output_too_large if the result has more bytes. */
export function refuseHeavyResult(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) refuse(`${bytes} bytes`, `at most ${maxBytes} bytes`);
}

function refuse(found: string, wanted: string): never {
  const message = `Cannot process: the result of a step has ${found}, wanted ${wanted}`;
  throw new HuiyuanError("output_too_large", message, { wanted });
}
