// Sample pictures of the sea: a sunset with a sail, and a lighthouse at nightfall.
import { blend, createRandom, fractal, type Random, smoothstep } from "./brush.ts";
import {
  blurFilter,
  circle,
  HEIGHT,
  lineGradient,
  path,
  radialGradient,
  ridgePoints,
  starField,
  svgDocument,
  textureImage,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";
import { texture } from "./texture.ts";

/** How light lies on the water below a lamp at `x`: short dashes, wider and farther apart towards the viewer. */
interface Glitter {
  readonly x: number;
  readonly horizon: number;
  readonly colours: readonly [string, string];
  readonly count: number;
  /** Half the width of the path of light at the lower edge, in pixels. */
  readonly spread: number;
}

function glitter(random: Random, options: Glitter): string {
  let dashes = "";
  for (let index = 0; index < options.count; index += 1) {
    const near = random.between(0, 1) ** 1.7;
    const y = options.horizon + 3 + near * (HEIGHT - options.horizon);
    const reach = 26 + options.spread * near;
    const away = (random.between(-1, 1) + random.between(-1, 1)) / 2;
    const length = 5 + near * random.between(14, 68);
    const opacity = (1 - Math.abs(away)) * random.between(0.35, 0.95);
    dashes += `<ellipse cx="${(options.x + away * reach).toFixed(1)}" cy="${y.toFixed(1)}" rx="${length.toFixed(1)}" ry="${(0.8 + near * 2.6).toFixed(1)}" fill="${blend(options.colours, near)}" fill-opacity="${opacity.toFixed(2)}"/>`;
  }
  return dashes;
}

/** Dark and light lines of swell over the whole sea. */
function swell(random: Random, horizon: number, colours: readonly [string, string], count: number): string {
  let lines = "";
  for (let index = 0; index < count; index += 1) {
    const near = random.between(0, 1) ** 1.5;
    const y = horizon + 2 + near * (HEIGHT - horizon);
    const length = 20 + near * random.between(60, 240);
    const x = random.between(-100, WIDTH + 100);
    const lift = 1 + near * 6;
    lines += path(
      `M${x.toFixed(0)} ${y.toFixed(1)}q${(length / 2).toFixed(0)} ${(-lift).toFixed(1)} ${length.toFixed(0)} 0q${(-length / 2).toFixed(0)} ${(lift * 0.6).toFixed(1)} ${(-length).toFixed(0)} 0`,
      `fill="${random.pick(colours)}" fill-opacity="${random.between(0.1, 0.38).toFixed(2)}"`,
    );
  }
  return lines;
}

/** Clouds lit from below, the sun touching the horizon, and a path of gold to the shore. */
export async function sunsetOverTheSea(): Promise<string> {
  const random = createRandom(808);
  const horizon = 640;
  const clouds = await texture(420, 180, (texel, u, v) => {
    const at = { seed: 57, octaves: 6 };
    const body = fractal(u * 3.4 + v * 0.8, v * 7.5, at);
    const below = fractal(u * 3.4 + (v + 0.035) * 0.8, (v + 0.035) * 7.5, at);
    const density = smoothstep(0.47, 0.68, body) * smoothstep(0, 0.2, v) * smoothstep(1, 0.82, v);
    // Where the cloud thins out just below, its underside is seen and is lit.
    const lit = smoothstep(-0.02, 0.1, body - below) * (0.45 + 0.55 * v);
    const sun = Math.exp(-(((u - 0.6) / 0.34) ** 2));
    texel[0] = 112 + 143 * lit * (0.72 + 0.28 * sun);
    texel[1] = 62 + 128 * lit * (0.4 + 0.6 * sun);
    texel[2] = 104 + 20 * lit - 30 * lit * sun;
    texel[3] = 235 * density;
  });
  return svgDocument(`<defs>
    ${lineGradient("sky", [0, 0], [0, horizon], [0, "#2b2f6b"], [0.28, "#7a4a8c"], [0.55, "#d9667c"], [0.8, "#ff9a5e"], [1, "#ffd67a"])}
    ${lineGradient("water", [0, horizon], [0, HEIGHT], [0, "#f2a266"], [0.07, "#c46b72"], [0.35, "#6b3f78"], [1, "#1d1b47"])}
    ${radialGradient("glow", [0, "#fff6cf", 1], [0.12, "#ffe08a", 0.8], [0.4, "#ffae57", 0.3], [1, "#ff8a4a", 0])}
    ${verticalGradient("sun", [0, "#fffbe0"], [1, "#ffd45a"])}
    <clipPath id="air"><rect width="${WIDTH}" height="${horizon}"/></clipPath></defs>
    ${wash("url(#sky)")}
    ${textureImage(clouds, `width="${WIDTH}" height="${horizon - 10}"`)}
    <g clip-path="url(#air)">${circle(960, horizon - 40, 520, 'fill="url(#glow)"')}${circle(960, horizon - 34, 66, 'fill="url(#sun)"')}</g>
    ${path("M-8 640V612Q90 590 150 602Q240 566 330 604Q420 600 500 640Z", 'fill="#5b2f5e"')}
    ${path("M1600 640V600Q1540 585 1470 612Q1400 620 1350 640Z", 'fill="#7a3d63"')}
    <rect y="${horizon}" width="${WIDTH}" height="${HEIGHT - horizon}" fill="url(#water)"/>
    ${swell(random, horizon, ["#2a1d50", "#f08a72"], 620)}
    <g style="mix-blend-mode:screen">${glitter(random, { x: 960, horizon, colours: ["#ffe9a0", "#ffb35c"], count: 620, spread: 250 })}</g>
    ${sail()}`);
}

function sail(): string {
  return `<g transform="translate(520 742)">
    <g transform="scale(1 -0.55) translate(0 -26)" fill-opacity="0.32"><path d="M-6 -170L-6 -14L-78 -14Z M2 -150L70 -14L2 -14Z M-86 -8L84 -8L58 18L-62 18Z" fill="#1c1238"/></g>
    <path d="M-6 -172Q-26 -80 -80 -14L-6 -14Z" fill="#fff0d2"/><path d="M-6 -172Q-34 -90 -80 -14L-40 -14Q-14 -90 -6 -172Z" fill="#f5c79a" fill-opacity="0.7"/>
    <path d="M3 -152Q40 -76 72 -14L3 -14Z" fill="#ffd9a6"/><path d="M-2 -180L-2 -4" stroke="#241338" stroke-width="4"/>
    <path d="M-88 -8L86 -8Q74 14 56 20L-60 20Q-78 12 -88 -8Z" fill="#2b1640"/><path d="M-88 -8L86 -8L83 -3L-86 -3Z" fill="#ff9a68"/></g>`;
}

/** A white tower on a cliff, its beam sweeping over a sea that still holds the last light. */
export async function lighthouse(): Promise<string> {
  const random = createRandom(616);
  const horizon = 700;
  const haze = await texture(300, 140, (texel, u, v) => {
    const cloud = smoothstep(0.46, 0.76, fractal(u * 3, v * 7, { seed: 66, octaves: 5 }));
    texel[0] = 120 + 130 * v;
    texel[1] = 110 + 60 * v;
    texel[2] = 160 + 10 * v;
    texel[3] = 150 * cloud * smoothstep(0.1, 0.8, v);
  });
  const lamp = { x: 1150, y: 262 };
  const cliff = ridgePoints({ y: 745, relief: 34, seed: 19, hills: 9, octaves: 5 })
    .filter(([x]) => x > 840)
    .map(([x, y]): readonly [number, number] => [x, y - 110 * smoothstep(830, 1060, x) + 12]);
  const foot = `M690 ${HEIGHT + 8}L742 1020L768 990L786 930L812 905L818 850L836 820L840 780`;
  return svgDocument(`<defs>
    ${lineGradient("sky", [0, 0], [0, horizon], [0, "#0e1a44"], [0.4, "#2c3a78"], [0.7, "#70609a"], [0.88, "#d98a8a"], [1, "#ffc18a"])}
    ${lineGradient("water", [0, horizon], [0, HEIGHT], [0, "#d08f90"], [0.1, "#6d6596"], [0.45, "#2a3a70"], [1, "#0a1434"])}
    ${lineGradient("beam", [lamp.x, lamp.y], [0, 150], [0, "#fff4c0", 0.85], [0.3, "#ffeeb0", 0.34], [1, "#ffeeb0", 0])}
    ${lineGradient("beamBack", [lamp.x, lamp.y], [1600, 330], [0, "#fff4c0", 0.7], [1, "#ffeeb0", 0.08])}
    ${radialGradient("glow", [0, "#fffbe0", 1], [0.12, "#ffefae", 0.75], [0.4, "#ffd980", 0.22], [1, "#ffd070", 0])}
    ${lineGradient("tower", [-40, 0], [40, 0], [0, "#fff1e2"], [0.4, "#e9d6d6"], [1, "#8d83a6"])}
    ${lineGradient("rock", [820, 0], [1600, 0], [0, "#3a3358"], [0.3, "#272446"], [1, "#121231"])}
    ${blurFilter("soft", 7, { y: 0, height: 460 })}</defs>
    ${wash("url(#sky)")}${starField(random, 420, 430)}
    ${textureImage(haze, `y="240" width="${WIDTH}" height="440"`)}
    <rect y="${horizon}" width="${WIDTH}" height="${HEIGHT - horizon}" fill="url(#water)"/>
    ${swell(random, horizon, ["#0c1638", "#d9a0a0"], 560)}
    ${glitter(random, { x: 430, horizon, colours: ["#ffd9b0", "#e8a7a0"], count: 240, spread: 420 })}
    <g filter="url(#soft)" style="mix-blend-mode:screen">
      ${path(`M${lamp.x} ${lamp.y - 7}L-40 20L-40 330L${lamp.x} ${lamp.y + 7}Z`, 'fill="url(#beam)"')}
      ${path(`M${lamp.x} ${lamp.y - 7}L1640 200L1640 420L${lamp.x} ${lamp.y + 7}Z`, 'fill="url(#beamBack)"')}</g>
    ${path(`${foot}${cliff.map(([x, y]) => `L${x.toFixed(0)} ${y.toFixed(1)}`).join("")}L1610 ${HEIGHT}Z`, 'fill="url(#rock)"')}
    ${rocks(random)}
    <g transform="translate(${lamp.x} 0)">
      ${path("M-40 650L-27 300L27 300L40 650Z", 'fill="url(#tower)"')}
      ${path("M-36.6 560L-33 462L33 462L36.6 560ZM-29.6 372L-27 300L27 300L29.6 372Z", 'fill="#c2413a"')}
      ${path("M8 650L5 300L27 300L40 650Z", 'fill="#1d1a44" fill-opacity="0.3"')}
      <path d="M-38 300h76v-9h-76zM-28 291h56v-5h-56z" fill="#2a2448"/><rect x="-18" y="244" width="36" height="43" fill="#fff3b8"/>
      <path d="M-18 244v43M-6 244v43M6 244v43M18 244v43" stroke="#2a2448" stroke-width="2.5"/><path d="M-25 244Q0 196 25 244Z" fill="#a8352f"/><path d="M0 220V196" stroke="#2a2448" stroke-width="3"/>
      <rect x="-5" y="400" width="10" height="16" rx="5" fill="#ffe29a"/><rect x="-5" y="500" width="10" height="16" rx="5" fill="#ffe29a"/>
      <g transform="translate(96 0)"><path d="M0 656V604h120v52z" fill="#d8c6cc"/><path d="M-12 606L22 566h76l34 40z" fill="#8e3436"/>
      <rect x="22" y="618" width="18" height="20" fill="#ffdf8e"/><rect x="76" y="618" width="18" height="20" fill="#ffdf8e"/><path d="M0 656V604h120v52z" fill="#1d1a44" fill-opacity="0.3"/></g>
    </g>
    ${circle(lamp.x, lamp.y, 190, 'fill="url(#glow)" style="mix-blend-mode:screen"')}`);
}

/** Rocks at the foot of the cliff, each in a thin line of surf. */
function rocks(random: Random): string {
  let stones = "";
  for (let index = 0; index < 13; index += 1) {
    const near = index / 12;
    const [x, y] = [random.between(690, 850) - near * 60, 900 + near * 150];
    const [width, height] = [random.between(20, 46) * (0.7 + near), random.between(12, 30) * (0.7 + near)];
    const surf = [1.5, 1.25].map(
      (reach, at) =>
        `<ellipse cx="${x.toFixed(0)}" cy="${y.toFixed(0)}" rx="${(width * reach).toFixed(0)}" ry="${(5 + near * 5).toFixed(0)}" fill="#e9dfea" fill-opacity="${at === 0 ? 0.16 : 0.3}"/>`,
    );
    stones += `${surf.join("")}${path(`M${x - width} ${y}L${x - width * 0.55} ${y - height * 0.7}L${x - width * 0.1} ${y - height}L${x + width * 0.5} ${y - height * 0.62}L${x + width} ${y}Q${x} ${y + 7} ${x - width} ${y}Z`, 'fill="#231f42"')}`;
  }
  return stones;
}
