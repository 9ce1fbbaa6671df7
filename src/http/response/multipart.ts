// Makes the frame of a multipart/byteranges response (RFC 9110 §14.6): part heads, trailer, total length. Pure.
import type { ByteRange } from "../../core/object.ts";

export interface Multipart {
  /** The Content-Type of the whole response. */
  readonly mediaType: string;
  /** The text before each range, in order. */
  readonly heads: readonly Buffer[];
  readonly trailer: Buffer;
  /** Bytes of the whole body. */
  readonly length: number;
}

/** `size` and `mediaType` are the object's. `boundary` must not occur in its bytes; 24 random digits ensure that. */
export function createMultipart(
  ranges: readonly ByteRange[],
  { size, mediaType, boundary }: { readonly size: number; readonly mediaType: string; readonly boundary: string },
): Multipart {
  const heads = ranges.map(({ start, end }, index) =>
    Buffer.from(
      `${index === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Type: ${mediaType}\r\nContent-Range: bytes ${start}-${end}/${size}\r\n\r\n`,
    ),
  );
  const trailer = Buffer.from(`\r\n--${boundary}--\r\n`);
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  const length = heads.reduce((sum, head) => sum + head.byteLength, bytes + trailer.byteLength);
  return { mediaType: `multipart/byteranges; boundary=${boundary}`, heads, trailer, length };
}
