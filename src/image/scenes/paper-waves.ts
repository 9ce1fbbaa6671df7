// A sample picture after the old pattern of blue ocean waves (Seigaiha, 青海波): layers of paper, a red sun, cranes.
import { blend, createRandom } from "./brush.ts";
import { circle, paperShadow, path, radialGradient, svgDocument, verticalGradient, WIDTH, wash } from "./svg.ts";

const DEEP = ["#9fd0cf", "#4f9fb3", "#256f96", "#174a7c", "#0f2c5c", "#0a1c40"] as const;

/** One scale of the pattern: rings of the row's colour with foam and gold between them; its middle is at the foot. */
function scale(x: number, y: number, radius: number, share: number): string {
  const colour = blend(DEEP, share);
  const pale = blend([colour, "#f4f1e4"], 0.8 - share * 0.25);
  const gold = "#dcb566";
  const rings: readonly (readonly [number, string])[] = [
    [1, pale],
    [0.94, colour],
    [0.74, gold],
    [0.715, colour],
    [0.54, pale],
    [0.5, blend([colour, "#ffffff"], 0.12)],
    [0.3, gold],
    [0.272, colour],
  ];
  return rings.map(([reach, fill]) => circle(x, y, radius * reach, `fill="${fill}"`)).join("");
}

/** A crane in flight, as a child folds or cuts it. */
function crane(x: number, y: number, size: number, turn: number): string {
  return `<g transform="translate(${x} ${y}) rotate(${turn}) scale(${size})">
    <path d="M-10 4C-40 -34 -86 -58 -132 -62C-104 -44 -90 -32 -74 -10C-56 6 -30 12 -10 10Z" fill="#ffffff"/><path d="M-132 -62C-104 -44 -90 -32 -74 -10L-60 0C-78 -24 -100 -48 -132 -62Z" fill="#26324a"/>
    <path d="M6 6C20 -34 62 -74 112 -88C90 -62 82 -46 70 -20C54 2 26 14 6 12Z" fill="#f4f4f0"/><path d="M112 -88C90 -62 82 -46 70 -20L58 -6C72 -34 88 -62 112 -88Z" fill="#26324a"/>
    <path d="M-46 20C-24 4 14 0 40 8C66 14 84 6 104 -6L108 -1C90 18 66 28 38 24C8 30 -24 30 -46 20Z" fill="#ffffff"/><path d="M-46 20L-96 34L-44 27Z" fill="#26324a"/>
    <path d="M104 -6L130 -8L106 1Z" fill="#c89a3c"/><path d="M98 -4Q102 -10 109 -7L106 -1Z" fill="#cf3b2e"/></g>`;
}

/** A band of cloud with round ends, as on old screens. */
function cloud(x: number, y: number, size: number): string {
  const outline =
    "M-150 0a20 20 0 0 1 0 -40h60a26 26 0 0 1 26 -26h90a26 26 0 0 1 24 30h90a18 18 0 0 1 0 36h-70a16 16 0 0 1 0 32h-150a16 16 0 0 1 0 -32z";
  return `<g transform="translate(${x} ${y}) scale(${size})">${paperShadow(outline, 5, 9)}<path d="${outline}" fill="#fbf4e2"/><path d="M-128 -20h70M-30 -42h60M40 -18h72M-40 16h90" stroke="#dcb566" stroke-width="4" stroke-linecap="round"/></g>`;
}

/** Half the width of a scale, in pixels. */
const RADIUS = 84;

/** Rows of scales that darken towards the viewer and ride on a slow swell, each row a sheet of paper with its shadow. */
export async function paperWaves(): Promise<string> {
  const random = createRandom(366);
  let sea = "";
  for (let row = 0; row < 15; row += 1) {
    let scales = "";
    let shadow = "";
    for (let x = row % 2 === 0 ? 800 - RADIUS * 10 : 800 - RADIUS * 11; x < WIDTH + RADIUS; x += RADIUS * 2) {
      const swell = Math.sin(x / 250 + row * 0.42) * (22 - row);
      const y = 655 + row * RADIUS * 0.5 + swell;
      scales += scale(x, y, RADIUS, Math.min(1, row / 11 + random.between(-0.03, 0.03)));
      shadow += `M${x - RADIUS} ${y.toFixed(1)}a${RADIUS} ${RADIUS} 0 0 1 ${RADIUS * 2} 0`;
    }
    sea += `${paperShadow(shadow, -3, 13)}${scales}`;
  }
  const rays = Array.from({ length: 36 }, (_, index) => {
    const angle = (index / 36) * Math.PI * 2;
    const spread = Math.PI / 72;
    const point = (turn: number) =>
      `${(800 + Math.cos(turn) * 1500).toFixed(0)} ${(420 + Math.sin(turn) * 1500).toFixed(0)}`;
    return `M800 420L${point(angle - spread)}L${point(angle + spread)}Z`;
  }).join("");
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#f3d9a8"], [0.35, "#f7e6c4"], [0.6, "#f6ddb4"])}
    ${radialGradient("sun", [0, "#e8573f"], [1, "#cf3526"])}</defs>
    ${wash("url(#sky)")}${path(rays, 'fill="#eec98c" fill-opacity="0.42"')}
    ${paperShadow("M582 420a218 218 0 1 1 436 0a218 218 0 1 1 -436 0Z", 6, 12)}${circle(800, 420, 218, 'fill="url(#sun)"')}${circle(800, 420, 232, 'fill="none" stroke="#dcb566" stroke-width="3"')}
    ${cloud(330, 250, 1.15)}${cloud(1290, 200, 0.95)}${cloud(1120, 470, 0.8)}${cloud(520, 500, 0.62)}
    ${crane(560, 330, 0.9, -8)}${crane(1010, 300, 0.62, -16)}${crane(420, 420, 0.5, 4)}
    ${sea}`);
}
