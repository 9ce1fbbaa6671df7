// Sample pictures of the night: the Milky Way over a tent, and an aurora over a frozen lake.
import { createRandom, fractal, lerp, ridged, smoothstep } from "./brush.ts";
import {
  blurFilter,
  circle,
  filledDown,
  HEIGHT,
  lineGradient,
  type Point,
  path,
  pinePath,
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

/** The galaxy rises from lower left to upper right, with dust in its middle and a warm core. */
export async function milkyWay(): Promise<string> {
  const random = createRandom(101);
  const galaxy = await texture(520, 347, (texel, u, v) => {
    const bend = (fractal(u * 2, v * 2, { seed: 2, octaves: 3 }) - 0.5) * 0.16;
    const away = (u - 0.56) * 0.62 + (v - 0.42) * 0.46 + bend;
    const along = (u - 0.56) * 0.46 - (v - 0.42) * 0.62;
    const band = Math.exp(-((away / 0.15) ** 2));
    const cloud = fractal(u * 6, v * 4.5, { seed: 21, octaves: 6 });
    const dust =
      smoothstep(0.5, 0.72, fractal(u * 5 + 9, v * 5, { seed: 43, octaves: 6 })) * Math.exp(-((away / 0.075) ** 2));
    const core = Math.exp(-(((along + 0.16) / 0.2) ** 2));
    const light = band * (0.16 + 1.35 * smoothstep(0.2, 0.85, cloud)) * (1 - 0.9 * dust);
    const horizon = smoothstep(0.45, 1, v);
    texel[0] = 9 + 128 * light * (0.6 + 0.66 * core) + 46 * horizon;
    texel[1] = 15 + 128 * light * (0.62 + 0.24 * core) + 62 * horizon;
    texel[2] = 42 + 150 * light * (0.86 - 0.12 * core) + 62 * horizon;
    texel[3] = 255;
  });
  let band = "";
  for (let index = 0; index < 2600; index += 1) {
    const along = random.between(-0.75, 0.75);
    const away = (random.between(-1, 1) + random.between(-1, 1) + random.between(-1, 1)) * 0.075;
    const x = (0.56 + along * 0.77 + away * 1.04) * WIDTH;
    const y = (0.42 - along * 1.04 + away * 0.77) * HEIGHT;
    band += circle(
      x,
      y,
      random.between(0.35, 1),
      `fill="#f4f1ff" fill-opacity="${random.between(0.2, 0.75).toFixed(2)}"`,
    );
  }
  let sparks = "";
  for (let index = 0; index < 16; index += 1) {
    const [x, y] = [random.between(0, WIDTH), random.between(0, 680)];
    sparks += circle(x, y, random.between(7, 15), 'fill="url(#spark)"') + circle(x, y, 1.8, 'fill="#ffffff"');
  }
  const hills = ridgePoints({ y: 880, relief: 130, seed: 17, hills: 2.6, octaves: 6 });
  const ground = ridgePoints({ y: 985, relief: 60, seed: 23, hills: 1.6, octaves: 4 });
  let pines = "";
  for (let x = -10; x < WIDTH + 20; x += random.between(10, 42)) {
    const away = Math.abs(x - 1010) / 700;
    if (away < 0.24) continue;
    const y = ground[Math.min(ground.length - 1, Math.max(0, Math.round((x + 8) / 4)))]?.[1] ?? HEIGHT;
    pines += pinePath(
      random,
      [x, y + 34],
      random.between(60, 130) + 190 * Math.min(1, away) ** 2 * random.between(0.4, 1),
    );
  }
  return svgDocument(`<defs>
    ${radialGradient("spark", [0, "#cfdcff", 0.75], [0.25, "#a9bdff", 0.25], [1, "#8fa8ff", 0])}
    ${lineGradient("trail", [262, 148], [446, 238], [0, "#ffffff", 0], [0.8, "#e8f0ff", 0.7], [1, "#ffffff", 1])}
    ${radialGradient("warm", [0, "#ffb65c", 0.62], [0.35, "#ff9440", 0.22], [1, "#ff8a30", 0])}
    ${verticalGradient("tent", [0, "#ff9c3a"], [0.55, "#ffc25e"], [1, "#ffe6a0"])}
    ${verticalGradient("hill", [0, "#16233c"], [1, "#2a3d52"])}</defs>
    ${textureImage(galaxy, `width="${WIDTH}" height="${HEIGHT}"`)}
    ${starField(random, 1300, 900)}${band}${sparks}
    ${path("M262 148L262.6 146.8L446 238L445 240Z", 'fill="url(#trail)"')}
    ${path(filledDown(hills), 'fill="url(#hill)"')}
    ${path(`${filledDown(ground)}${pines}`, 'fill="#060b16"')}
    <ellipse cx="1010" cy="990" rx="330" ry="120" fill="url(#warm)"/>
    <g transform="translate(1010 1000)">
      <path d="M-88 0L-8 -92L96 0Z" fill="url(#tent)"/><path d="M-8 -92L96 0L46 0Z" fill="#d9641e" fill-opacity="0.85"/>
      <path d="M-30 0L-9 -66L10 0Z" fill="#7a2d0c" fill-opacity="0.8"/><path d="M-8 -92L-8 -104" stroke="#1b1110" stroke-width="3"/>
      <path d="M-190 2q-2 -24 7 -30q9 6 8 30z" fill="#10121c"/><circle cx="-182" cy="-34" r="7" fill="#10121c"/>
    </g>`);
}

/** Where one curtain hangs, how high its rays reach, and how bright it is. */
interface Curtain {
  readonly foot: number;
  readonly sway: number;
  readonly reach: number;
  readonly seed: number;
  readonly strength: number;
}

const CURTAINS: readonly Curtain[] = [
  { foot: 0.66, sway: 0.3, reach: 0.34, seed: 71, strength: 1 },
  { foot: 0.84, sway: 0.22, reach: 0.4, seed: 82, strength: 0.75 },
  { foot: 0.42, sway: 0.24, reach: 0.24, seed: 95, strength: 0.55 },
];

/** How much one curtain shines at a point; rays are long upwards and end sharply below. */
function curtainLight(curtain: Curtain, u: number, v: number): number {
  const foot = curtain.foot + (fractal(u * 2.2, 0.3, { seed: curtain.seed, octaves: 3 }) - 0.5) * curtain.sway * 2;
  const above = foot - v;
  const rays = 0.35 + 0.9 * fractal(u * 34 + above * 3, 0.7, { seed: curtain.seed + 9, octaves: 3 });
  const patch = smoothstep(0.25, 0.7, fractal(u * 2.6, 4.2, { seed: curtain.seed + 5, octaves: 2 }));
  const fall = above >= 0 ? Math.exp(-above / (curtain.reach * (0.35 + 0.65 * rays))) : Math.exp(above / 0.022);
  return curtain.strength * patch * rays * fall;
}

/** Green curtains with violet tips, snowy mountains, and all of it once more in the lake. */
export async function aurora(): Promise<string> {
  const random = createRandom(303);
  const shore = 700;
  const lights = await texture(400, 180, (texel, u, v) => {
    let green = 0;
    let violet = 0;
    for (const curtain of CURTAINS) {
      const light = curtainLight(curtain, u, v);
      const height = smoothstep(0.02, 0.42, curtain.foot - v);
      green += light * (1 - height * 0.8);
      violet += light * height;
    }
    const dusk = v ** 2.4;
    texel[0] = lerp(7, 20, dusk) + 52 * green + 176 * violet;
    texel[1] = lerp(12, 62, dusk) + 232 * green + 62 * violet;
    texel[2] = lerp(38, 86, dusk) + 138 * green + 196 * violet;
    texel[3] = 255;
  });
  const far = ridgePoints({ y: 590, relief: 250, seed: 409, hills: 3.4, octaves: 8, rock: 0.85 });
  const near = ridgePoints({ y: 660, relief: 110, seed: 415, hills: 2.3, octaves: 6 });
  let pines = "";
  for (let x = -10; x < WIDTH + 20; x += random.between(8, 26)) {
    pines += pinePath(
      random,
      [x, shore + 2],
      random.between(24, 62) + 60 * Math.abs(x / WIDTH - 0.5) ** 2 * 4 * random.between(0.2, 1),
    );
  }
  return svgDocument(`<defs>
    ${verticalGradient("snow", [0, "#e2fbf2"], [0.6, "#a9d6d3"], [1, "#5f979c"])}
    ${verticalGradient("crag", [0, "#3d6f7c"], [0.45, "#1d4352"], [1, "#10293a"])}
    ${verticalGradient("rock", [0, "#19333f"], [1, "#0b1a24"])}
    ${verticalGradient("depth", [0, "#041019", 0.1], [1, "#020810", 0.55])}
    ${blurFilter("mirror", [2, 9], { y: shore, height: HEIGHT - shore })}
    <g id="view"><image xlink:href="${lights}" preserveAspectRatio="none" width="${WIDTH}" height="${shore + 20}"/>
      ${starField(random, 520, 560)}
      ${path(filledDown(far, shore), 'fill="url(#snow)"')}${bareRock(far, shore)}
      ${path(filledDown(near, shore), 'fill="url(#rock)"')}${path(pines, 'fill="#050d13"')}</g>
    <clipPath id="lake"><rect y="${shore}" width="${WIDTH}" height="${HEIGHT - shore}"/></clipPath></defs>
    ${wash("#050b14")}<use xlink:href="#view"/>
    <g clip-path="url(#lake)"><g filter="url(#mirror)"><use xlink:href="#view" transform="translate(0 ${shore * 2}) scale(1 -1)"/></g>
    <rect y="${shore}" width="${WIDTH}" height="${HEIGHT - shore}" fill="url(#depth)"/></g>
    <rect y="${shore - 1}" width="${WIDTH}" height="3" fill="#9fe6cf" fill-opacity="0.25"/>`);
}

/** Bare rock below a snow line that runs in gullies: far down in some places, near the crest in others. */
function bareRock(crest: readonly Point[], foot: number): string {
  const snowLine = crest.map(([x, y]): Point => {
    const gully = ridged(x / 34, y / 90, { seed: 5, octaves: 3 });
    return [x, Math.min(foot, y + 10 + 120 * gully ** 2.2)];
  });
  return path(filledDown(snowLine, foot), 'fill="url(#crag)"');
}
