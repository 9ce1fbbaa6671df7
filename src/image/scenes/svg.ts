// The SVG pieces that more than one sample picture uses: gradients, blurs, ridges, pines, stars. Strings in, strings out.
import { fractal, lerp, type Random, ridged } from "./brush.ts";

/** Pixels of every still picture. */
export const WIDTH = 1600;
export const HEIGHT = 1067;

/** In pixels, from the upper left corner. */
export type Point = readonly [x: number, y: number];

/** A gradient's colour at `offset` (0–1); `opacity` is 1 where it is absent. */
export type Stop = readonly [offset: number, colour: string, opacity?: number];

/** A whole SVG document around `body`, drawn in WIDTH × HEIGHT and shown in `size` (both in pixels). */
export function svgDocument(body: string, size = { width: WIDTH, height: HEIGHT }): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${size.width}" height="${size.height}" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none">${body}</svg>`;
}

function stopElements(stops: readonly Stop[]): string {
  return stops
    .map(
      ([offset, colour, opacity = 1]) => `<stop offset="${offset}" stop-color="${colour}" stop-opacity="${opacity}"/>`,
    )
    .join("");
}

/** Top to bottom of whatever it fills. */
export function verticalGradient(id: string, ...stops: readonly Stop[]): string {
  return `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stopElements(stops)}</linearGradient>`;
}

/** Between two points of the picture, in pixels. */
export function lineGradient(id: string, from: Point, to: Point, ...stops: readonly Stop[]): string {
  return `<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="${from[0]}" y1="${from[1]}" x2="${to[0]}" y2="${to[1]}">${stopElements(stops)}</linearGradient>`;
}

/** From the middle to the edge of whatever it fills. */
export function radialGradient(id: string, ...stops: readonly Stop[]): string {
  return `<radialGradient id="${id}">${stopElements(stops)}</radialGradient>`;
}

/** A Gaussian blur, deviation in pixels, of whatever lies inside `region` (the whole picture where it is absent). */
export function blurFilter(
  id: string,
  deviation: number | readonly [across: number, down: number],
  region: { readonly y: number; readonly height: number } = { y: 0, height: HEIGHT },
): string {
  const text = typeof deviation === "number" ? `${deviation}` : deviation.join(" ");
  // sRGB saves two conversions of every pixel.
  return `<filter id="${id}" filterUnits="userSpaceOnUse" x="0" y="${region.y}" width="${WIDTH}" height="${region.height}" color-interpolation-filters="sRGB"><feGaussianBlur stdDeviation="${text}"/></filter>`;
}

/**
 * The soft shadow that a sheet of paper throws: its outline stroked ever wider in a little black. Looks as a blur does
 * and costs a hundredth of it. `drop` and `reach` in pixels.
 */
export function paperShadow(outline: string, drop: number, reach: number): string {
  const strokes = [1, 0.78, 0.58, 0.4, 0.24, 0.12].map((share) =>
    path(outline, `stroke-width="${(reach * 2 * share).toFixed(1)}"`),
  );
  return `<g transform="translate(0 ${drop})" fill="none" stroke="#000000" stroke-opacity="0.085" stroke-linejoin="round">${strokes.join("")}</g>`;
}

/** The whole picture in one paint (a colour or `url(#id)`). */
export function wash(paint: string, attributes = ""): string {
  return `<rect width="${WIDTH}" height="${HEIGHT}" fill="${paint}" ${attributes}/>`;
}

/** A picture made of pixels, stretched over a part of the scene. */
export function textureImage(dataUri: string, attributes: string): string {
  return `<image preserveAspectRatio="none" xlink:href="${dataUri}" ${attributes}/>`;
}

export function circle(x: number, y: number, radius: number, attributes: string): string {
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius.toFixed(2)}" ${attributes}/>`;
}

export function path(data: string, attributes: string): string {
  return `<path d="${data}" ${attributes}/>`;
}

/** `M x y L x y …`, one decimal. */
export function polyline(points: readonly Point[]): string {
  return `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
}

/** How a mountain's outline runs. `y`: its mean height on the picture; `relief`: peak to valley, both in pixels. */
export interface RidgeShape {
  readonly y: number;
  readonly relief: number;
  readonly seed: number;
  /** Hills across the picture. */
  readonly hills: number;
  readonly octaves: number;
  /** 0: rounded hills (where it is absent); 1: pointed crests. */
  readonly rock?: number;
}

/** The outline of a ridge from the left edge to the right one. One point every 4 pixels. */
export function ridgePoints(shape: RidgeShape): Point[] {
  const points: Point[] = [];
  for (let x = -8; x <= WIDTH + 8; x += 4) {
    const along = (x / WIDTH) * shape.hills + 31;
    const height = lerp(fractal(along, 0.5, shape), ridged(along, 0.5, shape), shape.rock ?? 0);
    points.push([x, shape.y - (height - 0.5) * 2 * shape.relief]);
  }
  return points;
}

/** The outline closed along the lower edge of the picture. */
export function filledDown(points: readonly Point[], bottom = HEIGHT + 8): string {
  return `${polyline(points)}L${WIDTH + 8} ${bottom}L-8 ${bottom}Z`;
}

/** A conifer: ragged tiers that widen downwards. `foot` is where the trunk meets the ground. */
export function pinePath(random: Random, foot: Point, height: number): string {
  const [x, y] = foot;
  const halfWidth = height * random.between(0.17, 0.23);
  const tiers = Math.round(Math.min(15, 6 + height / 24));
  const left: Point[] = [];
  const right: Point[] = [];
  for (let tier = 1; tier <= tiers; tier += 1) {
    const share = tier / tiers;
    const level = y - height * (1 - share * 0.93);
    const reach = halfWidth * share ** 0.85;
    const droop = (height / tiers) * 0.35;
    left.push(
      [x - reach * random.between(0.75, 1.12), level + droop * random.between(0.4, 1)],
      [x - reach * 0.6, level],
    );
    right.push(
      [x + reach * random.between(0.75, 1.12), level + droop * random.between(0.4, 1)],
      [x + reach * 0.6, level],
    );
  }
  const trunk = height * 0.014;
  const foot2: Point[] = [
    [x + trunk, y - height * 0.06],
    [x + trunk, y + 6],
    [x - trunk, y + 6],
    [x - trunk, y - height * 0.06],
  ];
  return `${polyline([[x, y - height], ...right, ...foot2, ...left.reverse()])}Z`;
}

/** Stars of many faint and few bright ones, down to the height `lowest`. */
export function starField(random: Random, count: number, lowest: number): string {
  let stars = "";
  for (let index = 0; index < count; index += 1) {
    const magnitude = random.between(0, 1) ** 6;
    const tint = random.pick(["#ffffff", "#ffffff", "#dfe8ff", "#c9d8ff", "#fff0d8"]);
    stars += circle(
      random.between(0, WIDTH),
      random.between(0, lowest),
      0.5 + magnitude * 1.7,
      `fill="${tint}" fill-opacity="${random.between(0.25, 0.6 + magnitude * 0.4).toFixed(2)}"`,
    );
  }
  return stars;
}
