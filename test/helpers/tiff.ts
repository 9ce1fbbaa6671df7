// Makes TIFF files by hand: of both byte orders, with 32 or 64 bits, and with their parts in any order. For tests only.

type Part = "strips" | "offsets" | "lengths" | "directory";

export interface TiffWish {
  readonly isLittle?: boolean;
  readonly isBig?: boolean;
  readonly strips?: number;
  /** Bytes before the first part, after the head. */
  readonly gap?: number;
  readonly order?: readonly Part[];
  /** Offset of the next directory. */
  readonly next?: number;
  /** More entries: tag, type, count, value or offset. */
  readonly more?: readonly (readonly [number, number, number, number])[];
}

const STRIP_BYTES = 5;
export const DIRECTORY_LAST: readonly Part[] = ["strips", "offsets", "lengths", "directory"];
export const DIRECTORY_FIRST: readonly Part[] = ["directory", "lengths", "offsets", "strips"];
export const LIBTIFF: readonly Part[] = ["strips", "directory", "offsets", "lengths"];

/** One picture of 7 × 9 pixels; its strips hold no pixels that a decoder could read. */
export function makeTiff(wish: TiffWish = {}): Buffer {
  const { isLittle = true, isBig = false, strips = 3, gap = 0, order = LIBTIFF, next = 0, more = [] } = wish;
  const wide = isBig ? 8 : 4;
  const put = (values: readonly (readonly [value: number, bytes: number])[]) =>
    Buffer.concat(
      values.map(([value, bytes]) => {
        const bigEndian = Buffer.alloc(8);
        bigEndian.writeBigUInt64BE(BigInt(value));
        const cut = bigEndian.subarray(8 - bytes);
        return isLittle ? Buffer.from(cut).reverse() : cut;
      }),
    );
  const entry = ([tag, type, count, value]: readonly [number, number, number, number]) => {
    const isShort = type === 3 && count === 1;
    const head = put([
      [tag, 2],
      [type, 2],
      [count, wide],
    ]);
    return Buffer.concat([
      head,
      isShort ? Buffer.concat([put([[value, 2]]), Buffer.alloc(wide - 2)]) : put([[value, wide]]),
    ]);
  };
  const headBytes = isBig ? 16 : 8;
  const arrayBytes = strips * wide;
  const entries = 4 + more.length;
  const sizes = {
    strips: strips * STRIP_BYTES,
    offsets: arrayBytes,
    lengths: arrayBytes,
    directory: isBig ? 8 + entries * 20 + 8 : 2 + entries * 12 + 4,
  };
  const at: Record<Part, number> = {
    strips: 0,
    offsets: 0,
    lengths: 0,
    directory: 0,
  };
  let end = headBytes + gap;
  for (const part of order) {
    at[part] = end;
    end += sizes[part];
  }
  const type = isBig ? 16 : 4;
  const one = strips === 1;
  const parts: Record<Part, Buffer> = {
    strips: Buffer.alloc(sizes.strips, 0x55),
    offsets: put(Array.from({ length: strips }, (_, index) => [at.strips + index * STRIP_BYTES, wide] as const)),
    lengths: put(Array.from({ length: strips }, () => [STRIP_BYTES, wide] as const)),
    directory: Buffer.concat([
      put([[entries, isBig ? 8 : 2]]),
      entry([256, 3, 1, 7]),
      entry([257, type, 1, 9]),
      entry([273, type, strips, one ? at.strips : at.offsets]),
      entry([279, type, strips, one ? STRIP_BYTES : at.lengths]),
      ...more.map(entry),
      put([[next, wide]]),
    ]),
  };
  const magic = Buffer.from(isLittle ? "II" : "MM", "latin1");
  const version = isBig
    ? put([
        [43, 2],
        [8, 2],
        [0, 2],
        [at.directory, 8],
      ])
    : put([
        [42, 2],
        [at.directory, 4],
      ]);
  return Buffer.concat([magic, version, Buffer.alloc(gap), ...order.map((part) => parts[part])]);
}

/** The offset of the directory of a file that makeTiff() made with 32 bits and little-endian. */
export const directoryOf = (file: Buffer) => file.readUInt32LE(4);
