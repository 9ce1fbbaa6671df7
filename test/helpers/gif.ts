// Writes GIFs that no encoder makes: frames of one colour at any position with any disposal. For tests only.

export interface HandFrame {
  /** left, top, width, height */
  readonly at: readonly [number, number, number, number];
  /** Index into PALETTE. */
  readonly colour: number;
  /**
   * 1: keep · 2: clear the frame's area · 3: restore the previous content. Absent: the frame has no graphic control
   * extension.
   */
  readonly disposal?: number;
  readonly transparent?: number;
  /** Hundredths of a second, used if there is a disposal; default 20. */
  readonly delay?: number;
}

const PALETTE = [
  [220, 40, 40],
  [40, 180, 60],
  [40, 60, 210],
  [230, 210, 40],
] as const;
const BITS = 2;

const u16 = (value: number) => [value & 255, value >> 8];

/** `background`: index into PALETTE. `bits`: size of the colour table; its further colours are black. */
export function handGif(
  width: number,
  height: number,
  frames: readonly HandFrame[],
  { background = 1, bits = BITS } = {},
): Buffer {
  const table = [...PALETTE.flat(), ...Array(3 * ((1 << bits) - PALETTE.length)).fill(0)];
  const blocks = frames.flatMap(({ at: [left, top, across, down], colour, disposal, transparent, delay = 20 }) => [
    ...(disposal === undefined
      ? []
      : [0x21, 0xf9, 4, (disposal << 2) | (transparent === undefined ? 0 : 1), ...u16(delay), transparent ?? 0, 0]),
    0x2c,
    ...[left, top, across, down].flatMap(u16),
    0,
    ...uncompressed(across * down, colour, bits),
  ]);
  const head = [...u16(width), ...u16(height), 0x80 | (bits - 1), background, 0];
  return Buffer.concat([Buffer.from("GIF89a"), Buffer.from([...head, ...table, ...blocks, 0x3b])]);
}

/** LZW codes that clear the table before the code size would grow. */
function uncompressed(pixels: number, colour: number, bits: number): number[] {
  const [clear, end] = [1 << bits, (1 << bits) + 1];
  const codes = Array.from({ length: pixels }, (_, at) => (at % (clear - 2) === 0 ? [clear, colour] : [colour])).flat();
  const packed: number[] = [];
  let [waiting, count] = [0, 0];
  for (const code of [...codes, end]) {
    waiting |= code << count;
    for (count += bits + 1; count >= 8; count -= 8, waiting >>>= 8) packed.push(waiting & 255);
  }
  packed.push(waiting & 255);
  const blocks = Array.from({ length: Math.ceil(packed.length / 255) }, (_, at) =>
    packed.slice(at * 255, at * 255 + 255),
  );
  return [bits, ...blocks.flatMap((block) => [block.length, ...block]), 0];
}
