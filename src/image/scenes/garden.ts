// Sample pictures of a garden: cherry blossoms before a snowy mountain, and a pond with carp and lotus.
import { blend, createRandom, fractal, lerp, type Random, smoothstep } from "./brush.ts";
import {
  blurFilter,
  circle,
  HEIGHT,
  lineGradient,
  type Point,
  path,
  radialGradient,
  svgDocument,
  textureImage,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";
import { texture } from "./texture.ts";

/** A tapering twig that forks; blossoms and buds are collected at its joints. */
function growTwig(
  random: Random,
  from: Point,
  heading: { readonly angle: number; readonly length: number; readonly width: number },
  joints: Point[],
): string {
  const { angle, length, width } = heading;
  if (length < 34) return "";
  const bend = random.between(-0.22, 0.22);
  const to: Point = [from[0] + Math.cos(angle) * length, from[1] + Math.sin(angle) * length];
  const middle: Point = [
    from[0] + Math.cos(angle + bend) * length * 0.55,
    from[1] + Math.sin(angle + bend) * length * 0.55,
  ];
  let twig = path(
    `M${from[0].toFixed(0)} ${from[1].toFixed(0)}Q${middle[0].toFixed(0)} ${middle[1].toFixed(0)} ${to[0].toFixed(0)} ${to[1].toFixed(0)}`,
    `stroke-width="${width.toFixed(1)}"`,
  );
  if (width < 15) joints.push(middle, to);
  twig += growTwig(
    random,
    to,
    { angle: angle + random.between(-0.26, 0.22), length: length * 0.82, width: width * 0.74 },
    joints,
  );
  const side = random.pick([-1, 1]);
  twig += growTwig(
    random,
    middle,
    { angle: angle + side * random.between(0.5, 0.95), length: length * 0.58, width: width * 0.5 },
    joints,
  );
  return twig;
}

const PETAL = "M0 0C-15 -10 -17 -30 -6 -38Q-2 -35 0 -31Q2 -35 6 -38C17 -30 15 -10 0 0Z";

/** Two blossoms as reusable symbols: one open, one paler. About 76 pixels across. */
function blossomSymbols(): string {
  const flower = (id: string, petal: string): string => {
    const petals = [0, 72, 144, 216, 288]
      .map((turn) => path(PETAL, `transform="rotate(${turn})" fill="url(#${petal})"`))
      .join("");
    const stamens = Array.from({ length: 10 }, (_, index) => {
      const angle = (index / 10) * Math.PI * 2;
      const reach = index % 2 === 0 ? 14 : 10;
      const [x, y] = [Math.cos(angle) * reach, Math.sin(angle) * reach];
      return `<path d="M0 0L${x.toFixed(1)} ${y.toFixed(1)}" stroke="#d9658c" stroke-width="0.9"/>${circle(x, y, 1.7, 'fill="#f6c95c"')}`;
    }).join("");
    return `<g id="${id}">${petals}${circle(0, 0, 6, 'fill="#d8527f" fill-opacity="0.75"')}${stamens}</g>`;
  };
  const paint = (id: string, inner: string, outer: string): string =>
    `<radialGradient id="${id}" gradientUnits="userSpaceOnUse" cx="0" cy="0" r="40"><stop offset="0" stop-color="${inner}"/><stop offset="0.55" stop-color="${outer}"/><stop offset="1" stop-color="#ffffff"/></radialGradient>`;
  return `${paint("petalDeep", "#ea6f9c", "#fbc4d6")}${paint("petalPale", "#f29dbb", "#fde2ea")}${flower("bloom", "petalDeep")}${flower("paleBloom", "petalPale")}`;
}

/** A branch in bloom from the upper left; behind it a white cone in the haze. */
export async function cherryBlossoms(): Promise<string> {
  const random = createRandom(2016);
  const joints: Point[] = [];
  const twigs =
    growTwig(random, [-40, 120], { angle: 0.26, length: 250, width: 34 }, joints) +
    growTwig(random, [-40, 420], { angle: -0.12, length: 200, width: 20 }, joints) +
    growTwig(random, [330, -40], { angle: 0.62, length: 170, width: 15 }, joints);
  let bokeh = "";
  for (let index = 0; index < 46; index += 1) {
    const colour = random.pick(["bokehRose", "bokehWhite"]);
    bokeh += circle(
      random.between(0, WIDTH),
      random.between(0, HEIGHT),
      random.between(16, 74),
      `fill="url(#${colour})" fill-opacity="${random.between(0.2, 0.6).toFixed(2)}"`,
    );
  }
  const bloom = (x: number, y: number, scale: number): string =>
    `<use xlink:href="#${random.pick(["bloom", "paleBloom", "paleBloom"])}" transform="translate(${x.toFixed(0)} ${y.toFixed(0)}) rotate(${random.between(0, 360).toFixed(0)}) scale(${scale.toFixed(2)} ${(scale * random.between(0.72, 1)).toFixed(2)})"/>`;
  let behind = "";
  let front = "";
  joints.forEach(([x, y], index) => {
    if (index % 2 === 0)
      behind += bloom(x + random.between(-60, 60), y + random.between(-30, 60), random.between(0.6, 0.95));
    if (index % 3 === 2) return;
    front += bloom(x + random.between(-30, 30), y + random.between(-26, 34), random.between(0.7, 1.2));
    if (index % 4 === 0)
      front += bloom(x + random.between(-54, 54), y + random.between(-20, 60), random.between(0.55, 0.9));
  });
  let falling = "";
  for (let index = 0; index < 34; index += 1) {
    falling += path(
      PETAL,
      `transform="translate(${random.between(100, WIDTH).toFixed(0)} ${random.between(260, HEIGHT).toFixed(0)}) rotate(${random.between(0, 360).toFixed(0)}) scale(${random.between(0.3, 0.72).toFixed(2)} ${random.between(0.2, 0.5).toFixed(2)})" fill-opacity="${random.between(0.55, 0.95).toFixed(2)}"`,
    );
  }
  const slopes =
    "C960 720 1028 610 1072 506Q1092 498 1112 503Q1130 495 1150 502Q1170 497 1186 508C1232 612 1300 722 1440 826";
  const cone = `M820 826${slopes}C1560 900 1640 930 1760 960H480C620 930 720 890 820 826Z`;
  const snow = `M962 704C1006 640 1044 574 1072 506Q1092 498 1112 503Q1130 495 1150 502Q1170 497 1186 508C1216 576 1254 640 1298 700L1284 706L1262 676L1256 730L1236 664L1222 704L1206 660L1192 762L1174 672L1158 716L1142 664L1124 784L1106 676L1090 722L1074 668L1054 758L1040 676L1022 712L1008 672L990 720L980 690Z`;
  const shade = `M1150 502Q1170 497 1186 508C1216 576 1254 640 1298 700L1284 706L1262 676L1256 730L1236 664L1222 704L1206 660L1192 762L1184 640L1168 600L1172 560Z`;
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#8fbfe3"], [0.42, "#cfe2ee"], [0.72, "#fbe3e6"], [1, "#f7c9d4"])}
    ${lineGradient("cone", [0, 480], [0, 960], [0, "#7f93bd"], [0.5, "#a3b1d0"], [1, "#e9d5de"])}
    ${lineGradient("veil", [0, 760], [0, HEIGHT], [0, "#fbe6ea", 0], [0.45, "#fbe6ea", 0.9], [1, "#f5c3d0", 1])}
    ${lineGradient("bark", [0, 0], [700, 500], [0, "#3a2220"], [1, "#6b4038"])}
    ${blurFilter("near", 2, { y: 0, height: 860 })}${radialGradient("bokehRose", [0, "#ffc9d9", 0.5], [0.8, "#ffd3e0", 0.75], [1, "#ffd3e0", 0])}${radialGradient("bokehWhite", [0, "#ffffff", 0.45], [0.84, "#ffffff", 0.7], [1, "#ffffff", 0])}${blossomSymbols()}</defs>
    ${wash("url(#sky)")}${path(cone, 'fill="url(#cone)"')}${path(snow, 'fill="#ffffff" fill-opacity="0.94"')}
    ${path(shade, 'fill="#9fb4da" fill-opacity="0.55"')}
    ${wash("url(#veil)")}${bokeh}
    <g filter="url(#near)">${behind}</g>
    <g fill="none" stroke="url(#bark)" stroke-linecap="round">${twigs}</g>${front}
    <g fill="#fbbfd2">${falling}</g>`);
}

const CARP_BODY = "M104 0C96 -22 60 -32 20 -30C-30 -26 -70 -12 -92 -5L-92 5C-70 12 -30 26 20 30C60 32 96 22 104 0Z";

/** A carp seen from above, swimming to the right, about 210 pixels long. */
function carp(id: string, patches: readonly string[], colour: string): string {
  return `<clipPath id="${id}Body"><path d="${CARP_BODY}"/></clipPath><g id="${id}">
    <path d="M-86 0C-112 -20 -140 -34 -160 -30C-148 -14 -142 -4 -146 4C-150 18 -158 28 -150 36C-128 30 -106 16 -86 0Z" fill="#fff4e8" fill-opacity="0.78"/>
    <path d="M52 -26C44 -50 22 -62 6 -62C10 -46 18 -34 26 -28ZM52 26C44 50 22 62 6 62C10 46 18 34 26 28ZM-30 -20C-40 -34 -54 -40 -62 -38C-58 -28 -52 -20 -44 -16ZM-30 20C-40 34 -54 40 -62 38C-58 28 -52 20 -44 16Z" fill="#fff1e2" fill-opacity="0.7"/>
    <path d="${CARP_BODY}" fill="#fff8f0"/><g clip-path="url(#${id}Body)">${patches.map((patch) => path(patch, `fill="${colour}"`)).join("")}
    <path d="M104 0C96 22 60 32 20 30C-30 26 -70 12 -92 5L-92 0C-40 14 60 16 104 0Z" fill="#6b3a2a" fill-opacity="0.16"/></g>
    <path d="M30 0Q-20 -5 -70 0Q-20 5 30 0Z" fill="#ffffff" fill-opacity="0.55"/><circle cx="84" cy="-14" r="3.4" fill="#20160f"/><circle cx="84" cy="14" r="3.4" fill="#20160f"/></g>`;
}

function lilyPad(random: Random, x: number, y: number, radius: number): string {
  const turn = random.between(0, 360);
  const tone = random.between(0, 1);
  const dark = blend(["#1d5b3c", "#2f6f3a"], tone);
  const bright = blend(["#4f9f5c", "#86b658"], tone);
  const edge = "M0 0L98 -17A100 100 0 1 0 98 17Z";
  const veins = Array.from({ length: 15 }, (_, index) => {
    const angle = ((index + 1) / 16) * Math.PI * 2;
    return `M0 0L${(Math.cos(angle) * 90).toFixed(0)} ${(Math.sin(angle) * 90).toFixed(0)}`;
  }).join("");
  const id = `pad${x.toFixed(0)}_${y.toFixed(0)}`;
  return `<defs>${lineGradient(id, [-80, -80], [80, 80], [0, bright], [1, dark])}</defs>
    <g transform="translate(${(x + 12).toFixed(0)} ${(y + 18).toFixed(0)}) rotate(${turn.toFixed(0)}) scale(${(radius / 100).toFixed(3)})"><path d="${edge}" fill="#02151c" fill-opacity="0.42"/></g>
    <g transform="translate(${x.toFixed(0)} ${y.toFixed(0)}) rotate(${turn.toFixed(0)}) scale(${(radius / 100).toFixed(3)})"><path d="${edge}" fill="url(#${id})"/><path d="${veins}" stroke="#d9f0b8" stroke-opacity="0.28" stroke-width="2" fill="none"/><path d="${edge}" fill="none" stroke="#cfe8a6" stroke-opacity="0.4" stroke-width="2.5"/></g>`;
}

function lotus(x: number, y: number, scale: number, turn: number): string {
  const petal = "M0 0C-26 -26 -26 -66 0 -98C26 -66 26 -26 0 0Z";
  const ring = (count: number, size: number, offset: number, paint: string): string =>
    Array.from({ length: count }, (_, index) =>
      path(
        petal,
        `transform="rotate(${offset + (index * 360) / count}) scale(${size})" fill="url(#${paint})" stroke="#d97a9c" stroke-opacity="0.35" stroke-width="1"`,
      ),
    ).join("");
  return `<g transform="translate(${x} ${y}) rotate(${turn}) scale(${scale})"><ellipse cx="14" cy="20" rx="96" ry="92" fill="#02151c" fill-opacity="0.35"/>
    ${ring(10, 1.08, 0, "petalOuter")}${ring(9, 0.84, 18, "petalMiddle")}${ring(7, 0.58, 9, "petalInner")}
    ${circle(0, 0, 20, 'fill="#f3c74e"')}${circle(0, 0, 13, 'fill="#c9a530"')}</g>`;
}

/** Carp below, lily pads and lotus above, and the light that the ripples gather. */
export async function lotusPond(): Promise<string> {
  const random = createRandom(888);
  const water = await texture(400, 267, (texel, u, v) => {
    const warp = fractal(u * 5, v * 3.6, { seed: 6, octaves: 3 });
    const wide = Math.abs(fractal(u * 13 + warp * 3, v * 9 - warp * 3, { seed: 15, octaves: 1 }) - 0.5);
    const narrow = Math.abs(fractal(u * 17 - warp * 3, v * 12 + warp * 2, { seed: 92, octaves: 1 }) - 0.5);
    const net = smoothstep(0.1, 0, wide) + 0.7 * smoothstep(0.09, 0, narrow);
    const caustic = net * smoothstep(0.3, 0.8, fractal(u * 2.4 + 3, v * 2, { seed: 51, octaves: 3 }));
    const deep = smoothstep(0.2, 0.85, fractal(u * 2.2, v * 1.8, { seed: 27, octaves: 4 }));
    texel[0] = lerp(6, 26, deep) + 44 * caustic;
    texel[1] = lerp(58, 112, deep) + 62 * caustic;
    texel[2] = lerp(72, 116, deep) + 54 * caustic;
    texel[3] = 255;
  });
  const petalPaint = (id: string, inner: string, outer: string): string =>
    `<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="0" y1="0" x2="0" y2="-98"><stop offset="0" stop-color="${inner}"/><stop offset="1" stop-color="${outer}"/></linearGradient>`;
  const swim = (id: string, x: number, y: number, turn: number, scale: number): string =>
    `${path(CARP_BODY, `transform="translate(${x + 16} ${y + 30}) rotate(${turn}) scale(${scale * 1.04})" fill="#02151c" fill-opacity="0.3"`)}<use xlink:href="#${id}" transform="translate(${x} ${y}) rotate(${turn}) scale(${scale})"/>`;
  const pads: readonly (readonly [number, number, number])[] = [
    [130, 150, 150],
    [330, 70, 92],
    [70, 400, 96],
    [1450, 930, 170],
    [1240, 1010, 108],
    [1560, 690, 104],
    [1490, 120, 118],
    [1330, 60, 70],
    [180, 980, 118],
    [40, 860, 72],
    [1080, 1050, 66],
    [300, 260, 62],
  ];
  const ripples = [
    [700, 360],
    [1010, 690],
  ]
    .map(([x, y]) =>
      [60, 112, 170]
        .map(
          (radius) =>
            `<ellipse cx="${x}" cy="${y}" rx="${radius}" ry="${radius * 0.94}" fill="none" stroke="#dff6ee" stroke-opacity="${(0.4 - radius / 600).toFixed(2)}" stroke-width="3"/>`,
        )
        .join(""),
    )
    .join("");
  return svgDocument(`<defs>
    ${carp("kohaku", ["M70 -40Q100 0 70 40L40 40Q20 0 44 -40Z", "M10 -40Q-30 -6 6 20L-40 30Q-60 -10 -30 -40Z"], "#e8502a")}
    ${carp("gold", ["M110 -40H-100V40H110Z"], "#f5a52c")}
    ${carp("showa", ["M60 -40Q40 0 70 40L10 40Q-10 0 20 -40Z", "M-40 -30Q-20 0 -50 30L-80 20L-80 -20Z"], "#d83a24")}
    ${petalPaint("petalOuter", "#fff3f4", "#ef86ac")}${petalPaint("petalMiddle", "#fff8f5", "#f6a9c4")}${petalPaint("petalInner", "#fffbe9", "#fbd0de")}
    ${radialGradient("light", [0, "#e9fff0", 0.35], [1, "#bff0e0", 0])}</defs>
    ${textureImage(water, `width="${WIDTH}" height="${HEIGHT}"`)}
    ${swim("kohaku", 720, 380, -28, 1.35)}${swim("showa", 960, 640, 152, 1.25)}${swim("gold", 520, 720, 38, 1.05)}${swim("kohaku", 1150, 300, 112, 0.95)}${swim("gold", 900, 900, -14, 0.85)}
    ${wash("#0a4a55", 'fill-opacity="0.16"')}${circle(620, 260, 620, 'fill="url(#light)"')}${ripples}
    ${pads.map(([x, y, radius]) => lilyPad(random, x, y, radius)).join("")}
    ${lotus(214, 196, 1.12, 12)}${lotus(1380, 838, 1.35, -20)}${lotus(1502, 168, 0.7, 40)}${lotus(112, 930, 0.62, 5)}`);
}
