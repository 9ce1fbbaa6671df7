// What the sample pictures are painted with: a seeded random, smooth noise and colours. Pure; knows no SVG.

/** A repeatable source of numbers. Equal seeds give equal sequences. */
export interface Random {
  /** From `low` (inclusive) to `high` (exclusive). */
  between(low: number, high: number): number;
  pick<T>(choices: readonly [T, ...T[]]): T;
}

/** mulberry32: small and good enough for leaves and stars; never for anything secret. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    between: (low, high) => low + (high - low) * next(),
    pick: (choices) => choices[Math.floor(next() * choices.length)] ?? choices[0],
  };
}

/** A value in 0–1 that belongs to one point of the integer lattice. */
function latticeValue(x: number, y: number, seed: number): number {
  let hash = Math.imul(x, 374_761_393) ^ Math.imul(y, 668_265_263) ^ Math.imul(seed, 2_246_822_519);
  hash = Math.imul(hash ^ (hash >>> 13), 1_274_126_177);
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_519);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

function noise(x: number, y: number, seed: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const across = smooth(x - column);
  const down = smooth(y - row);
  const top = lerp(latticeValue(column, row, seed), latticeValue(column + 1, row, seed), across);
  const bottom = lerp(latticeValue(column, row + 1, seed), latticeValue(column + 1, row + 1, seed), across);
  return lerp(top, bottom, down);
}

/** Fractal noise in 0–1 with its mean near 0.5; each octave is twice as fine and half as strong. */
export function fractal(x: number, y: number, options: { readonly seed: number; readonly octaves: number }): number {
  let sum = 0;
  let weight = 0.5;
  let total = 0;
  for (let octave = 0; octave < options.octaves; octave += 1) {
    const scale = 2 ** octave;
    // The shift keeps the octaves' lattices from meeting at the origin.
    sum += weight * noise(x * scale + octave * 17.3, y * scale + octave * 9.1, options.seed + octave);
    total += weight;
    weight /= 2;
  }
  return sum / total;
}

/** Noise with sharp crests, as rock has, in 0–1; its mean is near 0.5 too. */
export function ridged(x: number, y: number, options: { readonly seed: number; readonly octaves: number }): number {
  let sum = 0;
  let weight = 0.5;
  for (let octave = 0; octave < options.octaves; octave += 1) {
    const scale = 2 ** octave;
    sum +=
      weight *
      (1 - Math.abs(2 * noise(x * scale + octave * 17.3, y * scale + octave * 9.1, options.seed + octave) - 1));
    weight *= 0.46;
  }
  return sum / 1.12;
}

export function lerp(from: number, to: number, share: number): number {
  return from + (to - from) * share;
}

/** 0 below `low`, 1 above `high`, and a soft S between them; `low` may be the larger one. */
export function smoothstep(low: number, high: number, value: number): number {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return share * share * (3 - 2 * share);
}

function smooth(share: number): number {
  return share * share * share * (share * (share * 6 - 15) + 10);
}

/** Red, green and blue, 0–255 each. */
type Rgb = readonly [number, number, number];

/** Reads `#rrggbb`. */
function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** The colour at `share` (0–1) of the way along `colours` (`#rrggbb`, evenly spaced), as `#rrggbb`. */
export function blend(colours: readonly [string, string, ...string[]], share: number): string {
  const position = Math.min(1, Math.max(0, share)) * (colours.length - 1);
  const index = Math.min(colours.length - 2, Math.floor(position));
  const from = rgb(colours[index] ?? colours[0]);
  const to = rgb(colours[index + 1] ?? colours[1]);
  const channels = from.map((channel, at) => Math.round(lerp(channel, to[at] ?? channel, position - index)));
  return `#${channels.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}
