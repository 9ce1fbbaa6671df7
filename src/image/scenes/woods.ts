// Sample pictures of trees: conifers in morning mist, and an autumn lake that mirrors its shore.
import { blend, createRandom, fractal, lerp, type Random, smoothstep } from "./brush.ts";
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
  svgDocument,
  textureImage,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";
import { texture } from "./texture.ts";

/** Six rows of conifers, the farthest almost gone, with light falling in from the upper right. */
export async function morningMist(): Promise<string> {
  const random = createRandom(5);
  const mist = await texture(300, 200, (texel, u, v) => {
    const drift = fractal(u * 3.2, v * 6, { seed: 12, octaves: 5 });
    texel[0] = 244;
    texel[1] = 248;
    texel[2] = 238;
    texel[3] = 245 * smoothstep(0.3, 0.68, drift) * smoothstep(0, 0.45, v) * smoothstep(1, 0.8, v);
  });
  let rows = "";
  for (let row = 0; row < 6; row += 1) {
    const share = row / 5;
    const colour = blend(["#b9cdc3", "#8fb0a6", "#5f8a80", "#376459", "#183e38", "#0a211f"], share);
    const ground = ridgePoints({ y: 470 + 116 * row, relief: 90, seed: 90 + row, hills: 1.6, octaves: 3 });
    let trees = filledDown(ground);
    for (let x = -60; x < WIDTH + 60; x += random.between(20, 46) * (1 + share * 1.1)) {
      // The nearest row leaves the middle open, as a clearing does.
      if (row === 5 && x > 420 && x < 1180) continue;
      const y = ground[Math.min(ground.length - 1, Math.max(0, Math.round((x + 8) / 4)))]?.[1] ?? HEIGHT;
      trees += pinePath(random, [x, y + 110 * (1 + share)], random.between(210, 350) * (1 + share * 1.15));
    }
    rows += verticalGradient(
      `row${row}`,
      [0, colour],
      [0.45, colour],
      [1, blend([colour, "#e6efe6"], 0.75 - share * 0.35)],
    );
    rows += path(trees, `fill="url(#row${row})"`);
    const veil = `y="${300 + row * 116}" width="${WIDTH}" height="460" opacity="${(0.62 - share * 0.32).toFixed(2)}"`;
    rows += textureImage(mist, row % 2 === 0 ? veil : `${veil} transform="translate(${WIDTH} 0) scale(-1 1)"`);
  }
  const rays = Array.from({ length: 9 }, (_, index) => {
    const spread = -1250 + index * 190 + random.between(-40, 40);
    const width = random.between(40, 120);
    return path(
      `M1330 -120L${1330 + spread} 1150l${width * 2.4} 0Z`,
      `fill-opacity="${random.between(0.25, 0.9).toFixed(2)}"`,
    );
  }).join("");
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#a9c9c4"], [0.35, "#dbe9dd"], [0.6, "#f3f1de"])}
    ${radialGradient("sun", [0, "#fffbe8", 1], [0.2, "#fff2c4", 0.75], [1, "#f6efcf", 0])}
    ${lineGradient("ray", [1330, 0], [900, 1000], [0, "#fff6cf", 0.36], [0.6, "#fff6cf", 0.1], [1, "#fff6cf", 0])}
    ${blurFilter("blur", 26)}</defs>
    ${wash("url(#sky)")}
    ${circle(1290, 130, 620, 'fill="url(#sun)"')}
    ${rows}
    <g fill="url(#ray)" filter="url(#blur)" style="mix-blend-mode:screen">${rays}</g>
    ${circle(1290, 130, 700, 'fill="url(#sun)" fill-opacity="0.35"')}`);
}

/** A crown of foliage: dabs that are darker below and lighter where the light comes from. */
function crown(random: Random, x: number, y: number, size: number, colours: Tones): string {
  let dabs = "";
  for (let index = 0; index < 84; index += 1) {
    const angle = random.between(0, Math.PI * 2);
    const reach = Math.sqrt(random.between(0, 1)) * size;
    const dx = Math.cos(angle) * reach * 0.72;
    const dy = Math.sin(angle) * reach;
    const light = 0.5 - (dx + dy * 1.3) / (size * 3.2) + random.between(-0.22, 0.22);
    dabs += circle(x + dx, y + dy, size * random.between(0.045, 0.115), `fill="${blend(colours, light)}"`);
  }
  return dabs;
}

/** Shade, body and light of one crown. */
type Tones = readonly [string, string, string];

const CROWNS: readonly [Tones, ...Tones[]] = [
  ["#6d1a12", "#c8401d", "#f6893a"],
  ["#7a2e0c", "#df7a1c", "#ffc355"],
  ["#7b5410", "#e2a522", "#ffe08a"],
  ["#4b130f", "#9d2a1e", "#e0603a"],
  ["#2c3a14", "#68762a", "#b9b552"],
];

/** A shore of red and gold under a hazy mountain; the lake repeats it, a little darker and softer. */
export async function autumnLake(): Promise<string> {
  const random = createRandom(77);
  const shore = 610;
  let trees = "";
  for (let row = 0; row < 3; row += 1) {
    for (let x = -40; x < WIDTH + 40; x += random.between(26, 58)) {
      const size = random.between(44, 82) * lerp(0.85, 1.15, row / 2);
      const edge = Math.abs(x / WIDTH - 0.52) * 150;
      trees += crown(
        random,
        x,
        shore - 30 - size * 0.8 - (2 - row) * 46 - edge * (1 - row * 0.3),
        size,
        random.pick(CROWNS),
      );
    }
  }
  const clouds = await texture(300, 110, (texel, u, v) => {
    const cloud = smoothstep(0.46, 0.78, fractal(u * 3 + v, v * 5, { seed: 83, octaves: 6 }));
    texel[0] = 255;
    texel[1] = 250 - 8 * v;
    texel[2] = 246 - 22 * v;
    texel[3] = 235 * cloud * smoothstep(0, 0.3, v) * smoothstep(1, 0.6, v);
  });
  const water = await texture(200, 160, (texel, u, v) => {
    const ripple = fractal(u * 4, v * v * 60 + v * 20, { seed: 31, octaves: 3 });
    texel[0] = 214;
    texel[1] = 230;
    texel[2] = 240;
    texel[3] = 95 * smoothstep(0.5, 0.85, ripple) * (0.2 + v);
  });
  const undergrowth = ridgePoints({ y: 540, relief: 40, seed: 163, hills: 24, octaves: 3 });
  const far = ridgePoints({ y: 330, relief: 270, seed: 140, hills: 2.1, octaves: 7, rock: 0.7 });
  const near = ridgePoints({ y: 455, relief: 120, seed: 151, hills: 3.4, octaves: 6 });
  const scene = `${wash("url(#sky)")}${textureImage(clouds, `y="20" width="${WIDTH}" height="400"`)}${path(filledDown(far), 'fill="url(#far)"')}${path(filledDown(near), 'fill="url(#near)"')}
    <ellipse cx="800" cy="480" rx="1300" ry="120" fill="url(#haze)"/>
    ${path(filledDown(undergrowth, shore), 'fill="#4a2412"')}${trees}
    <rect y="${shore - 8}" width="${WIDTH}" height="10" fill="#2a1a12" fill-opacity="0.75"/>`;
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#7fa9cf"], [0.3, "#c2d7e2"], [0.5, "#f5e6cf"])}
    ${verticalGradient("far", [0, "#7d8fae"], [0.35, "#b7b9c2"], [0.6, "#e6d8c8"])}
    ${verticalGradient("near", [0, "#6c6a78"], [0.5, "#b99d86"])}
    ${lineGradient("depth", [0, shore], [0, HEIGHT], [0, "#123047", 0.12], [0.5, "#0d2c47", 0.45], [1, "#071b30", 0.8])}
    ${radialGradient("haze", [0, "#fbeeda", 0.85], [1, "#fbeeda", 0])}${blurFilter("mirror", [1.2, 5], { y: shore, height: HEIGHT - shore })}
    <clipPath id="air"><rect width="${WIDTH}" height="${shore}"/></clipPath>
    <clipPath id="lake"><rect y="${shore}" width="${WIDTH}" height="${HEIGHT - shore}"/></clipPath>
    <g id="shore" clip-path="url(#air)">${scene}</g></defs>
    <use xlink:href="#shore"/>
    <g clip-path="url(#lake)"><g filter="url(#mirror)"><use xlink:href="#shore" transform="translate(0 ${shore * 2}) scale(1 -1)"/></g>
      <rect y="${shore}" width="${WIDTH}" height="${HEIGHT - shore}" fill="url(#depth)"/>
      ${textureImage(water, `y="${shore}" width="${WIDTH}" height="${HEIGHT - shore}"`)}</g>
    <rect y="${shore - 1}" width="${WIDTH}" height="3" fill="#fff3dc" fill-opacity="0.35"/>
    ${canoe()}`);
}

function canoe(): string {
  const hull = "M-92 -6Q-60 16 0 16Q60 16 92 -6Q64 4 0 4Q-64 4 -92 -6Z";
  return `<g transform="translate(560 800)"><path d="${hull}" transform="translate(0 34) scale(1 -0.8)" fill="#1a0d0a" fill-opacity="0.35"/>
    <path d="${hull}" fill="#a8321f"/><path d="M-92 -6Q-64 4 0 4Q64 4 92 -6Q60 9 0 9Q-60 9 -92 -6Z" fill="#e0764a"/>
    <path d="M-14 4q2 -34 14 -36q12 2 14 36z" fill="#20303c"/><circle cx="0" cy="-40" r="9" fill="#e9bf9a"/><path d="M-12 -43q12 -16 24 0z" fill="#d9b24a"/>
    <path d="M6 -22L58 26" stroke="#6b4a2a" stroke-width="4" stroke-linecap="round"/></g>`;
}
