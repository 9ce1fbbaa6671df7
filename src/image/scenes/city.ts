// Sample pictures of towns: a skyline at dusk by a river, and the frames of a village in falling snow.
import { blend, createRandom, type Random } from "./brush.ts";
import {
  blurFilter,
  circle,
  filledDown,
  HEIGHT,
  lineGradient,
  path,
  pinePath,
  radialGradient,
  ridgePoints,
  starField,
  svgDocument,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";

/** One row of a skyline. `lit`: the share of windows with light. */
interface SkylineRow {
  readonly colour: string;
  readonly low: number;
  readonly high: number;
  readonly lit: number;
}

const SHORE = 800;

function skylineRow(random: Random, row: SkylineRow): string {
  let houses = "";
  let windows = "";
  for (let x = -20; x < WIDTH + 20; ) {
    const width = Math.round(random.between(46, 128));
    const middle = Math.exp(-(((x - 820) / 420) ** 2));
    const height = Math.round(random.between(row.low, row.high) * (0.62 + 0.75 * middle));
    const top = SHORE - height;
    houses += `M${x} ${SHORE}V${top}H${x + width}V${SHORE}Z${roof(random, x, top, width)}`;
    const pitch = random.pick([11, 13, 15]);
    for (let wx = x + 7; row.lit > 0 && wx < x + width - 10; wx += pitch) {
      for (let wy = top + 12; wy < SHORE - 14; wy += pitch + 4) {
        if (random.between(0, 1) > row.lit) continue;
        const colour = random.pick(["#ffd27a", "#ffbf5e", "#ffe3a6", "#ff9f52", "#cfe6ff"]);
        windows += `<rect x="${wx}" y="${wy}" width="${pitch - 6}" height="${pitch - 4}" fill="${colour}" fill-opacity="${random.pick([0.55, 0.75, 0.95])}"/>`;
      }
    }
    x += width + Math.round(random.between(-6, 10));
  }
  return `${path(houses, `fill="${row.colour}"`)}${windows}`;
}

/** Something on top: a mast, a step, a slope, or nothing. */
function roof(random: Random, x: number, top: number, width: number): string {
  switch (random.pick(["mast", "step", "slope", "flat", "flat"])) {
    case "mast":
      return `M${x + width / 2 - 2} ${top}v${-random.between(30, 74).toFixed(0)}h4V${top}Z`;
    case "step":
      return `M${x + width * 0.2} ${top}v-22h${width * 0.6}v22ZM${x + width * 0.36} ${top - 22}v-16h${width * 0.28}v16Z`;
    case "slope":
      return `M${x} ${top}L${x + width} ${top - width * 0.4}V${top}Z`;
    default:
      return "";
  }
}

/** Flat colours and few of them, so that it is a fair picture for PNG. */
export async function cityAtDusk(): Promise<string> {
  const random = createRandom(909);
  const rows: readonly SkylineRow[] = [
    { colour: "#a4648c", low: 190, high: 430, lit: 0 },
    { colour: "#6d477f", low: 150, high: 380, lit: 0.1 },
    { colour: "#41326a", low: 120, high: 320, lit: 0.28 },
    { colour: "#1d1b45", low: 70, high: 230, lit: 0.42 },
  ];
  const [farthest, ...nearer] = rows.map((row) => skylineRow(random, row));
  const tower = `<g fill="#57397a"><path d="M1178 ${SHORE}L1196 430h12L1226 ${SHORE}Z"/><ellipse cx="1202" cy="424" rx="36" ry="15"/><ellipse cx="1202" cy="404" rx="24" ry="11"/><path d="M1199 398L1202 236L1205 398Z"/></g>
    <path d="M1168 424h68" stroke="#ffd88a" stroke-width="4" stroke-dasharray="5 5"/>${circle(1202, 236, 4.5, 'fill="#ff6a5e"')}`;
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#272a66"], [0.22, "#5a418a"], [0.42, "#b4608f"], [0.58, "#f08a72"], [0.72, "#ffc27a"])}
    ${radialGradient("glow", [0, "#fff0c0", 0.95], [0.3, "#ffd08a", 0.5], [1, "#ff9f70", 0])}
    ${lineGradient("depth", [0, SHORE], [0, HEIGHT], [0, "#1a1642", 0.28], [1, "#0d0b2e", 0.72])}
    ${blurFilter("mirror", [1.5, 8], { y: SHORE, height: HEIGHT - SHORE })}
    <g id="town">${wash("url(#sky)")}${starField(random, 90, 330)}
      ${circle(640, 640, 420, 'fill="url(#glow)"')}${circle(640, 622, 92, 'fill="#fff0c4"')}
      ${farthest ?? ""}${tower}${nearer.join("")}</g>
    <clipPath id="river"><rect y="${SHORE}" width="${WIDTH}" height="${HEIGHT - SHORE}"/></clipPath></defs>
    <use xlink:href="#town"/>
    <g clip-path="url(#river)"><g filter="url(#mirror)"><use xlink:href="#town" transform="translate(0 ${SHORE * 2}) scale(1 -1)"/></g>
    <rect y="${SHORE}" width="${WIDTH}" height="${HEIGHT - SHORE}" fill="url(#depth)"/>${riverLines(random)}</g>
    <rect y="${SHORE - 5}" width="${WIDTH}" height="8" fill="#120f33"/>
    ${Array.from({ length: 21 }, (_, index) => circle(20 + index * 78, SHORE - 9, 3.2, 'fill="#ffe2a0"')).join("")}`);
}

/** Long flat ripples, more of them and longer towards the viewer. */
function riverLines(random: Random): string {
  let lines = "";
  for (let index = 0; index < 130; index += 1) {
    const near = random.between(0, 1);
    const reach = 14 + random.between(10, 60) * (0.4 + near);
    lines += `<ellipse cx="${random.between(-60, WIDTH).toFixed(0)}" cy="${(SHORE + 8 + near * 255).toFixed(0)}" rx="${reach.toFixed(0)}" ry="${(0.7 + near * 1.2).toFixed(1)}" fill="${random.pick(["#ffcf98", "#231d50", "#231d50"])}" fill-opacity="${random.pick([0.2, 0.3, 0.4])}"/>`;
  }
  return lines;
}

/** Frames of the snow village; after the last one the first follows without a jump. */
export const SNOW_FRAMES = 8;

/** Pixels of a frame: an animated picture is small. */
export const SNOW_SIZE = { width: 600, height: 400 };

function cottage(x: number, y: number, scale: number, lights: boolean): string {
  const windows = lights
    ? '<rect x="-52" y="-52" width="26" height="28" fill="#ffd36e"/><rect x="26" y="-52" width="26" height="28" fill="#ffc257"/><path d="M-39 -52v28M39 -52v28M-52 -38h26M26 -38h26" stroke="#5a2f1e" stroke-width="3"/>'
    : "";
  return `<g transform="translate(${x} ${y}) scale(${scale})"><ellipse cx="0" cy="6" rx="150" ry="34" fill="url(#lamp)"/><path d="M-74 0V-74H74V0Z" fill="#6d3b2c"/><path d="M-12 0V-46H14V0Z" fill="#3d1f18"/>${windows}
    <path d="M36 -112v-40h22v56z" fill="#55302a"/><path d="M33 -150h28v-10q-14 -8 -28 0z" fill="#f3f7ff"/><path d="M-98 -68L0 -138L98 -68L86 -62L0 -120L-86 -62Z" fill="#eef4ff"/><path d="M-86 -62L0 -122L86 -62Z" fill="#4d2a26"/><path d="M-100 -66Q-60 -112 0 -142Q60 -112 100 -66L80 -70L58 -64L34 -76L4 -70L-26 -78L-54 -66L-78 -72Z" fill="#f7faff"/></g>`;
}

/** One frame, `frame` from 0 to SNOW_FRAMES − 1: every flake falls by a whole number of pictures in a cycle. */
export function snowfallFrame(frame: number): string {
  const random = createRandom(1225);
  const hills = ridgePoints({ y: 700, relief: 130, seed: 33, hills: 1.8, octaves: 4 });
  const ground = ridgePoints({ y: 880, relief: 60, seed: 44, hills: 1.3, octaves: 2 });
  let pines = "";
  for (let x = -20; x < WIDTH + 40; x += random.between(24, 66)) {
    pines += pinePath(random, [x, 790 + random.between(-30, 20)], random.between(120, 290));
  }
  let flakes = "";
  for (let index = 0; index < 150; index += 1) {
    const near = random.between(0, 1);
    const laps = near > 0.62 ? 2 : 1;
    const y = (random.between(0, 1) + (laps * frame) / SNOW_FRAMES) % 1;
    const sway = Math.sin((frame / SNOW_FRAMES + random.between(0, 1)) * Math.PI * 2) * 16;
    flakes += circle(random.between(0, WIDTH) + sway, y * (HEIGHT + 40) - 20, 3 + near * 6, 'fill="#ffffff"');
  }
  return svgDocument(
    `<defs>
    ${verticalGradient("sky", [0, "#0f1c46"], [0.5, "#2f4682"], [0.8, "#6a7fb4"])}
    ${verticalGradient("hill", [0, "#8fa5d2"], [0.6, "#5a72ad"])}${verticalGradient("snow", [0, "#dfe8fb"], [1, "#9db2df"])}
    ${radialGradient("lamp", [0, "#ffcf78", 0.75], [1, "#ffcf78", 0])}</defs>
    ${wash("url(#sky)")}${[230, 170, 115].map((radius) => circle(1240, 240, radius, 'fill="#e8e6f4" fill-opacity="0.1"')).join("")}${circle(1240, 240, 74, 'fill="#fff8e2"')}
    ${path(filledDown(hills), 'fill="url(#hill)"')}${path(pines, `fill="${blend(["#1a2d5c", "#274478"], 0.4)}"`)}
    ${path(filledDown(ground), 'fill="url(#snow)"')}
    ${cottage(430, 880, 1.5, true)}${cottage(830, 850, 1.05, true)}${cottage(1190, 905, 1.3, true)}
    ${path(pinePath(random, [190, 990], 330) + pinePath(random, [1450, 1010], 400) + pinePath(random, [640, 950], 170), 'fill="#12244a"')}
    ${flakes}`,
    SNOW_SIZE,
  );
}
