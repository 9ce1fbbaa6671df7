// Sample pictures of mountains: blue ridges at dawn, and an ink landscape on paper.
import { blend, createRandom, fractal, smoothstep } from "./brush.ts";
import {
  blurFilter,
  circle,
  filledDown,
  HEIGHT,
  lineGradient,
  path,
  pinePath,
  polyline,
  type RidgeShape,
  radialGradient,
  ridgePoints,
  svgDocument,
  textureImage,
  verticalGradient,
  WIDTH,
  wash,
} from "./svg.ts";
import { texture } from "./texture.ts";

/** Seven ridges, each nearer one darker, with mist lying between them and the sun just up. */
export async function mountainsAtDawn(): Promise<string> {
  const random = createRandom(11);
  const clouds = await texture(320, 120, (texel, u, v) => {
    const cloud = smoothstep(0.5, 0.8, fractal(u * 4 + v * 1.5, v * 9, { seed: 4, octaves: 5 }));
    texel[0] = 255;
    texel[1] = 176 + 50 * v;
    texel[2] = 160 + 10 * v;
    texel[3] = 190 * cloud * smoothstep(0, 0.3, v) * smoothstep(1, 0.7, v);
  });
  const tones = ["#e9b7a2", "#b98fa3", "#7d6f99", "#4f5282", "#2b345e", "#151c3b"] as const;
  let ridges = "";
  for (let index = 0; index < 7; index += 1) {
    const share = index / 6;
    const shape: RidgeShape = {
      y: 545 + 76 * index,
      relief: 210 - 40 * Math.abs(share - 0.4),
      seed: 60 + index * 7,
      hills: 2.6 + index * 0.7,
      octaves: 7,
      rock: 0.55,
    };
    const colour = blend(tones, share);
    const mist = blend(["#ffdcbd", "#c99fae", "#5b5d8c", "#232b52"], share);
    ridges += verticalGradient(`ridge${index}`, [0, colour], [0.32, blend([colour, mist], 0.35)], [0.7, mist]);
    ridges += path(filledDown(ridgePoints(shape)), `fill="url(#ridge${index})"`);
  }
  let pines = "";
  const ground = ridgePoints({ y: 1035, relief: 90, seed: 5, hills: 2, octaves: 4 });
  for (let x = -20; x < WIDTH + 20; x += random.between(7, 30)) {
    const y = ground[Math.min(ground.length - 1, Math.max(0, Math.round((x + 8) / 4)))]?.[1] ?? HEIGHT;
    const edge = Math.abs(x / WIDTH - 0.56) * 2;
    pines += pinePath(random, [x, y + 18], random.between(34, 80) + 150 * edge ** 2.5 * random.between(0.5, 1));
  }
  return svgDocument(`<defs>
    ${verticalGradient("sky", [0, "#33457f"], [0.2, "#6c78ad"], [0.36, "#c79cb4"], [0.5, "#ffc59c"], [0.58, "#ffe3b5"])}
    ${radialGradient("glow", [0, "#fff3d0", 0.95], [0.15, "#ffdf9e", 0.6], [0.45, "#ffae72", 0.25], [1, "#ff8d62", 0])}
    </defs>
    ${wash("url(#sky)")}
    ${textureImage(clouds, `width="${WIDTH}" height="480"`)}
    ${circle(1010, 470, 560, 'fill="url(#glow)"')}
    ${circle(1010, 470, 44, 'fill="#fff8e2"')}
    ${ridges}
    ${circle(1010, 520, 620, 'fill="url(#glow)" fill-opacity="0.42"')}
    ${path(filledDown(ground), 'fill="#0b1026"')}${path(pines, 'fill="#0b1026"')}
    ${birds()}`);
}

function birds(): string {
  const flock = [
    [640, 300, 15],
    [688, 276, 11],
    [598, 330, 12],
    [742, 306, 8],
    [655, 352, 8],
  ] as const;
  return flock
    .map(([x, y, wing]) =>
      path(
        `M${x - wing} ${y - wing * 0.45}q${wing * 0.6} ${-wing * 0.15} ${wing} ${wing * 0.45}q${wing * 0.4} ${-wing * 0.6} ${wing} ${-wing * 0.45}`,
        'fill="none" stroke="#2b3260" stroke-width="2.4" stroke-linecap="round"',
      ),
    )
    .join("");
}

/** Shan shui: washes of ink that fade into the paper, a red sun, a boat, and a seal. */
export async function inkLandscape(): Promise<string> {
  const random = createRandom(29);
  const paper = await texture(400, 267, (texel, u, v) => {
    const fibre =
      fractal(u * 130, v * 90, { seed: 8, octaves: 2 }) * 0.35 + fractal(u * 5, v * 4, { seed: 3, octaves: 4 });
    texel[0] = 236 + 16 * fibre;
    texel[1] = 226 + 16 * fibre;
    texel[2] = 204 + 16 * fibre;
    texel[3] = 255;
  });
  const washes: readonly (RidgeShape & { readonly ink: number; readonly depth: number })[] = [
    { y: 400, relief: 300, seed: 210, hills: 3.2, octaves: 6, rock: 0.6, ink: 0.2, depth: 240 },
    { y: 500, relief: 330, seed: 232, hills: 2.7, octaves: 6, rock: 0.6, ink: 0.34, depth: 280 },
    { y: 640, relief: 380, seed: 257, hills: 2.1, octaves: 7, rock: 0.6, ink: 0.55, depth: 270 },
    { y: 850, relief: 420, seed: 287, hills: 1.5, octaves: 7, rock: 0.6, ink: 0.85, depth: 110 },
  ];
  const mountains = washes
    .map((shape, index) => {
      const points = ridgePoints(shape);
      const top = Math.min(...points.map(([, y]) => y));
      const fade = lineGradient(
        `ink${index}`,
        [0, top],
        [0, shape.y + shape.depth],
        [0, "#26323a", shape.ink],
        [0.35, "#2f3d46", shape.ink * 0.7],
        [0.75, "#44545e", shape.ink * 0.16],
        [1, "#44545e", 0],
      );
      const edge = `fill="none" stroke="#1d262c" stroke-opacity="${shape.ink * 0.55}" stroke-width="3.4" stroke-linejoin="round"`;
      return `${fade}${path(filledDown(points), `fill="url(#ink${index})"`)}${path(polyline(points), edge)}`;
    })
    .join("");
  let pines = "";
  for (let x = 40; x < 560; x += random.between(14, 46)) {
    pines += pinePath(random, [x, 985 + (x / 560) ** 2 * 60], random.between(60, 190) * (1 - (x / 620) ** 2 * 0.7));
  }
  return svgDocument(`<defs>${blurFilter("soft", 14, { y: 520, height: 390 })}</defs>
    ${textureImage(paper, `width="${WIDTH}" height="${HEIGHT}"`)}
    ${circle(1180, 235, 78, 'fill="#c8402f" fill-opacity="0.88"')}
    ${mountains}
    <g filter="url(#soft)" fill="#efe6d0">
      <ellipse cx="500" cy="610" rx="520" ry="26" fill-opacity="0.75"/><ellipse cx="1240" cy="560" rx="420" ry="22" fill-opacity="0.7"/>
      <ellipse cx="980" cy="760" rx="640" ry="34" fill-opacity="0.8"/><ellipse cx="260" cy="840" rx="420" ry="26" fill-opacity="0.7"/>
    </g>
    ${path(`M-8 1000Q300 950 640 1075L-8 1075Z${pines}`, 'fill="#1c252b" fill-opacity="0.93"')}
    <g fill="#20292f" transform="translate(900 985) scale(0.9)">
      <path d="M-95 0Q0 44 105 -8Q70 36 0 36Q-66 36 -95 0Z"/>
      <path d="M-32 8Q-30 -46 12 -48Q44 -44 44 6Z" fill="#4d4a41"/><path d="M74 -6l5 -52l8 0l5 52zM70 -60q13 -22 26 0z"/>
      <path d="M102 -2L168 -112" stroke="#20292f" stroke-width="3"/>
    </g>
    <g stroke="#3b4850" stroke-opacity="0.35" stroke-width="2.5" stroke-linecap="round">
      <path d="M760 1030h240M820 1046h120M1050 1010h90M660 1008h70M1180 1034h110"/>
    </g>
    <g transform="translate(1478 940)"><rect width="62" height="62" rx="7" fill="#b8322a" fill-opacity="0.92"/>
      <path d="M14 14h34v34h-24v-22h13v11" fill="none" stroke="#f3e7d2" stroke-width="5"/></g>`);
}
