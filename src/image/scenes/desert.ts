// Sample pictures of dry lands: dunes with a caravan, and a canyon cut from sheets of paper.
import { blend, createRandom, fractal, type Random, smoothstep } from "./brush.ts";
import {
  circle,
  filledDown,
  HEIGHT,
  lineGradient,
  type Point,
  paperShadow,
  path,
  polyline,
  radialGradient,
  ridgePoints,
  svgDocument,
  textureImage,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";
import { texture } from "./texture.ts";

/** One dune: feet left and right, a peak, and where the crest that parts light from shadow meets the ground. */
interface Dune {
  readonly left: Point;
  readonly peak: Point;
  readonly right: Point;
  readonly spine: Point;
  readonly light: readonly [string, string];
  readonly shade: readonly [string, string];
}

const DUNES: readonly Dune[] = [
  {
    left: [-200, 640],
    peak: [430, 452],
    right: [1150, 650],
    spine: [560, 760],
    light: ["#f8cf9b", "#eab27c"],
    shade: ["#b97a63", "#d09a78"],
  },
  {
    left: [-100, 700],
    peak: [1270, 430],
    right: [1900, 640],
    spine: [960, 900],
    light: ["#fbd29a", "#e9a86c"],
    shade: ["#a8624f", "#c98a68"],
  },
  {
    left: [-420, 830],
    peak: [170, 560],
    right: [980, 840],
    spine: [330, 1010],
    light: ["#fac687", "#e09a5a"],
    shade: ["#934d40", "#b87454"],
  },
  {
    left: [-420, 1010],
    peak: [1010, 640],
    right: [2000, 980],
    spine: [700, 1120],
    light: ["#fbc27c", "#d98747"],
    shade: ["#7e3c36", "#a75f44"],
  },
  {
    left: [-500, 1150],
    peak: [240, 860],
    right: [1400, 1200],
    spine: [420, 1240],
    light: ["#f0a75e", "#c26d35"],
    shade: ["#5f2a2b", "#8a4636"],
  },
];

function dune(shape: Dune, index: number, random: Random): string {
  const [lx, ly] = shape.left;
  const [px, py] = shape.peak;
  const [rx, ry] = shape.right;
  const [sx, sy] = shape.spine;
  const rise = `M${lx} ${ly}C${lx + (px - lx) * 0.5} ${ly - (ly - py) * 0.12} ${px - (px - lx) * 0.2} ${py + (ly - py) * 0.02} ${px} ${py}`;
  const fall = `C${px + (rx - px) * 0.16} ${py + (ry - py) * 0.34} ${px + (rx - px) * 0.5} ${ry - (ry - py) * 0.06} ${rx} ${ry}`;
  const bow = (sy - py) * 0.4;
  const spine = `C${px + 26} ${py + bow * 0.7} ${px + (sx - px) * 0.9 + 150} ${py + bow * 1.2} ${px + (sx - px) * 0.75} ${sy - (sy - py) * 0.28}S${sx - 60} ${sy - 30} ${sx} ${sy}`;
  let ripples = "";
  for (let line = 0; line < 26; line += 1) {
    const share = (line + random.between(0, 0.8)) / 26;
    const y = py + (sy - py) * (0.1 + 0.95 * share);
    const x = px + (sx - px) * share + 60 * Math.sin(share * Math.PI);
    const length = (px - lx) * (0.25 + 0.7 * share);
    ripples += `M${x.toFixed(0)} ${y.toFixed(0)}c${(-length * 0.3).toFixed(0)} ${(random.between(-6, 16) + 12).toFixed(0)} ${(-length * 0.6).toFixed(0)} ${random.between(-18, 4).toFixed(0)} ${(-length).toFixed(0)} ${(16 + 34 * share).toFixed(0)}`;
  }
  return `<defs>${verticalGradient(`light${index}`, [0, shape.light[0]], [0.8, shape.light[1]])}
    ${verticalGradient(`shade${index}`, [0, shape.shade[0]], [0.75, shape.shade[1]])}
    <clipPath id="dune${index}"><path d="${rise}${spine}L${lx} ${HEIGHT + 300}Z"/></clipPath></defs>
    ${path(`${rise}${fall}L${rx} ${HEIGHT + 300}L${lx} ${HEIGHT + 300}Z`, `fill="url(#shade${index})"`)}
    ${path(`${rise}${spine}L${sx} ${HEIGHT + 300}L${lx} ${HEIGHT + 300}Z`, `fill="url(#light${index})"`)}
    <g clip-path="url(#dune${index})">${path(ripples, `fill="none" stroke="${shape.shade[0]}" stroke-opacity="0.2" stroke-width="${1.2 + index * 0.5}"`)}</g>`;
}

/** A camel and its long evening shadow, about 60 pixels high at scale 1; it stands on its origin. */
function camel(x: number, y: number, scale: number): string {
  const body =
    "M-30 0L-26 -26Q-34 -40 -24 -44Q-16 -47 -12 -58Q-6 -60 -2 -47Q2 -46 6 -58Q13 -60 16 -45Q24 -42 28 -50L34 -66Q38 -74 50 -69L51 -64L41 -61L36 -40Q32 -30 24 -27L27 0L23 0L18 -24L14 -24L16 0L12 0L9 -26L-14 -26L-18 0L-22 0L-20 -25L-26 0Z";
  return `<g transform="translate(${x} ${y}) scale(${scale})"><path d="${body}" transform="skewX(62) scale(1 -0.42)" fill="#5a2a26" fill-opacity="0.38"/><path d="${body}" fill="#3b1a1c"/></g>`;
}

/** Five dunes with one side in the evening sun, and a caravan on a crest. */
export async function dunes(): Promise<string> {
  const random = createRandom(404);
  const far = ridgePoints({ y: 560, relief: 60, seed: 70, hills: 3, octaves: 4 });
  const clouds = await texture(300, 90, (texel, u, v) => {
    const cloud = smoothstep(0.48, 0.8, fractal(u * 2.6 + v * 1.2, v * 9, { seed: 38, octaves: 6 }));
    texel[0] = 255;
    texel[1] = 240 - 20 * v;
    texel[2] = 220 - 50 * v;
    texel[3] = 215 * cloud * smoothstep(0, 0.3, v) * smoothstep(1, 0.6, v);
  });
  const sand = DUNES.map((shape, index) => dune(shape, index, random));
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#5f88b4"], [0.25, "#a9bdc4"], [0.45, "#f6d6a8"], [0.56, "#ffc487"])}
    ${radialGradient("glow", [0, "#fff8df", 1], [0.1, "#fff0bf", 0.85], [0.4, "#ffd88f", 0.3], [1, "#ffc97a", 0])}
    ${verticalGradient("far", [0, "#d9a583"], [1, "#eebf92"])}
    ${lineGradient("heat", [0, 420], [0, 820], [0, "#ffd9a0", 0], [0.4, "#ffdcaa", 0.4], [1, "#ffdcaa", 0])}</defs>
    ${wash("url(#sky)")}${textureImage(clouds, `y="10" width="${WIDTH}" height="430"`)}${circle(300, 250, 460, 'fill="url(#glow)"')}${circle(300, 250, 46, 'fill="#fffbea"')}
    ${path(filledDown(far), 'fill="url(#far)"')}
    ${sand.slice(0, 3).join("")}${wash("url(#heat)")}${sand[3] ?? ""}
    ${camel(792, 728, 0.82)}${camel(866, 697, 0.8)}${camel(934, 669, 0.78)}${camel(1000, 644, 0.76)}
    ${sand[4] ?? ""}`);
}

/** A closed outline around the middle of the picture, wobbling by noise. `reach`: its mean half-width, in pixels. */
function opening(reach: number, seed: number): string {
  const points: Point[] = [];
  for (let step = 0; step < 220; step += 1) {
    const angle = (step / 220) * Math.PI * 2;
    const wobble = fractal(Math.cos(angle) * 1.6 + 5, Math.sin(angle) * 1.6 + 5, { seed, octaves: 4 });
    const radius = reach * (0.55 + 0.9 * wobble);
    points.push([WIDTH * 0.52 + Math.cos(angle) * radius * 1.28, HEIGHT * 0.5 + Math.sin(angle) * radius * 0.86]);
  }
  return `${polyline(points)}Z`;
}

/** Eight sheets of paper with a hole in each, darker towards the viewer; behind the last one a desert morning. */
export async function paperCanyon(): Promise<string> {
  const sheets = Array.from({ length: 8 }, (_, index) => {
    const share = index / 7;
    const colour = blend(["#f7b267", "#ef7f45", "#d9532f", "#a8322b", "#6d1f2b", "#3a1226"], share);
    const rim = blend([colour, "#ffe6c0"], 0.42 - share * 0.24);
    const outline = opening(265 + 76 * index, 500 + (index >> 1) * 3 + index);
    return `${paperShadow(outline, 10, 26)}${path(`M-60 -60H${WIDTH + 60}V${HEIGHT + 60}H-60Z${outline}`, `fill="${colour}" fill-rule="evenodd"`)}
      ${path(outline, `fill="none" stroke="${rim}" stroke-width="2.2" stroke-opacity="0.75"`)}`;
  }).join("");
  const mesa = (x: number, y: number, width: number, height: number, fill: string): string =>
    path(
      `M${x} ${y}l${width * 0.12} ${-height * 0.5}h${width * 0.06}l${width * 0.03} ${-height * 0.5}h${width * 0.56}l${width * 0.04} ${height * 0.46}h${width * 0.07}l${width * 0.12} ${height * 0.54}Z`,
      `fill="${fill}"`,
    );
  return svgDocument(`<defs>
    ${lineGradient("sky", [0, 240], [0, 700], [0, "#7cc3cf"], [0.5, "#cfe3cf"], [1, "#ffe9bd"])}
    ${radialGradient("glow", [0, "#fffbe6", 1], [0.3, "#fff1c4", 0.7], [1, "#ffe9b0", 0])}
    ${verticalGradient("river", [0, "#bfe6e2"], [1, "#3f97a5"])}</defs>
    ${wash("url(#sky)")}${circle(900, 420, 240, 'fill="url(#glow)"')}${circle(900, 420, 42, 'fill="#fffdf2"')}
    ${mesa(560, 600, 230, 120, "#eeb58a")}${mesa(980, 610, 260, 150, "#e8a377")}${mesa(700, 628, 170, 84, "#dd8a5e")}
    ${path(`M-8 600Q520 570 820 610Q1200 570 1608 610V${HEIGHT}H-8Z`, 'fill="#d9774a"')}
    ${path("M858 606Q800 640 842 672Q900 706 800 752Q690 806 760 900L1010 900Q960 790 940 748Q920 700 896 668Q862 634 872 606Z", 'fill="url(#river)"')}
    ${sheets}`);
}
