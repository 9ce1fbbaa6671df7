// Draws the gallery's source pictures: a chart whose pixels show their position and colour, drawn scenes instead of
// photographs, and special kinds (turned by EXIF, CMYK, wide gamut, 16 bits, transparent, animated).
import sharp, { type Sharp } from "sharp";
import { readSamplePictures } from "../../src/operate/trial/run/sample-site.ts";
import { writeBmp } from "../../src/serve/image/formats/bmp.ts";

/** A picture of the gallery: a file as a site would serve it. */
export interface Source {
  /** Its name at the site, with the extension of its format. */
  readonly name: string;
  readonly bytes: Buffer;
}

export type Sources = ReadonlyMap<string, Source>;

/** Draws all sources, by name. The pixels are the same on every run of one machine. */
export async function drawSources(): Promise<Sources> {
  const samples = await readSamplePictures();
  const sample = (name: string) => {
    const found = samples.find((picture) => picture.name === name);
    if (found === undefined) throw new Error(`Cannot draw the gallery: there is no sample picture ${name}`);
    return found.bytes;
  };
  const chart = await chartOf(1000, 500);
  const list: readonly (readonly [string, Promise<Buffer> | Buffer])[] = [
    ["chart.jpg", picture(chart).jpeg({ quality: 90 }).toBuffer()],
    ["chart.png", picture(chart).png().toBuffer()],
    [
      "upright.jpg",
      picture(await chartOf(500, 1000))
        .jpeg({ quality: 90 })
        .toBuffer(),
    ],
    [
      "square.jpg",
      picture(await chartOf(600, 600))
        .jpeg({ quality: 90 })
        .toBuffer(),
    ],
    ["chart.bmp", writeBmp({ ...(await pixelsOf(picture(chart))), channels: 3, frames: 1 })],
    ["garden.jpg", sample("cherry-blossoms.jpg")],
    ["pond.jpg", sample("lotus-pond.jpg")],
    ["lighthouse.jpg", sample("lighthouse.jpg")],
    ["aurora.avif", sample("aurora.avif")],
    ["dunes.webp", sample("dunes.webp")],
    ["snowfall.gif", sample("snowfall.gif")],
    ["snowfall.webp", sharp(sample("snowfall.gif"), { animated: true }).webp({ quality: 80 }).toBuffer()],
    ["turned.jpg", turned(chart)],
    ["camera.jpg", picture(chart).jpeg({ quality: 90 }).withExif(CAMERA).toBuffer()],
    ["cmyk.jpg", picture(chart).toColourspace("cmyk").jpeg({ quality: 90 }).keepIccProfile().toBuffer()],
    ["wide-gamut.jpg", picture(chart).withIccProfile("p3").jpeg({ quality: 90 }).toBuffer()],
    ["grey.jpg", picture(chart).greyscale().jpeg({ quality: 90 }).toBuffer()],
    ["grey16.png", picture(chart).greyscale().toColourspace("grey16").png().toBuffer()],
    ["sixteen.png", picture(chart).toColourspace("rgb16").png().toBuffer()],
    ["clear.png", picture(CLEAR).png().toBuffer()],
    ["clear.webp", picture(CLEAR).webp({ quality: 90 }).toBuffer()],
    ["palette.png", picture(CLEAR).png({ palette: true }).toBuffer()],
    ["moving.gif", moving().then((image) => image.gif({ delay: DELAYS, loop: 0 }).toBuffer())],
    ["moving.webp", moving().then((image) => image.webp({ quality: 90, delay: DELAYS, loop: 0 }).toBuffer())],
    ["logo.png", picture(LOGO).png().toBuffer()],
    ["large-logo.png", picture(LOGO, 6).png().toBuffer()],
  ];
  const drawn = new Map<string, Source>();
  for (const [name, bytes] of list) drawn.set(name, { name, bytes: await bytes });
  return drawn;
}

const CAMERA = {
  IFD0: { Make: "Huiyuan", Model: "Gallery 1", Copyright: "© 回源" },
  IFD2: { ExposureTime: "1/125", FNumber: "28/10", ISOSpeedRatings: "200" },
};

const DOTS_PER_INCH = 72;
const FONT = 'font-family="Noto Sans CJK SC" font-weight="bold"';

function picture(svg: string, times = 1): Sharp {
  return sharp(Buffer.from(svg), { density: DOTS_PER_INCH * times });
}

async function pixelsOf(image: Sharp) {
  const { data, info } = await image.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

function document(width: number, height: number, body: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${body}</svg>`;
}

/** A grid of 100 pixels with coordinates, the corners by name, patches of colour, a grey wedge, fine lines and text. */
async function chartOf(width: number, height: number): Promise<string> {
  const text = (x: number, y: number, size: number, words: string, more = "") =>
    `<text x="${x}" y="${y}" font-size="${size}" ${FONT} ${more}>${words}</text>`;
  const lines: string[] = [];
  for (let x = 100; x < width; x += 100) {
    lines.push(`<path d="M${x} 0V${height}" stroke="#fff" stroke-opacity=".55"/>`);
    lines.push(text(x + 3, 12, 10, String(x), 'fill="#fff"'));
  }
  for (let y = 100; y < height; y += 100) {
    lines.push(`<path d="M0 ${y}H${width}" stroke="#fff" stroke-opacity=".55"/>`);
    lines.push(text(3, y - 3, 10, String(y), 'fill="#fff"'));
  }
  const corner = (words: string, x: number, y: number, colour: string) =>
    `<circle cx="${x}" cy="${y}" r="38" fill="${colour}"/>${text(x, y + 9, 26, words, 'fill="#fff" text-anchor="middle"')}`;
  const corners =
    corner("NW", 45, 45, "#c0392b") +
    corner("NE", width - 45, 45, "#1e8449") +
    corner("SW", 45, height - 45, "#1f4e9e") +
    corner("SE", width - 45, height - 45, "#b7950b");
  const [middleX, middleY] = [width / 2, height / 2];
  const patches = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff", "#ff00ff", "#e8beac", "#5a3a22"].map(
    (colour, index) =>
      `<rect x="${middleX - 160 + index * 40}" y="${middleY - 95}" width="40" height="40" fill="${colour}"/>`,
  );
  const greys = Array.from({ length: 16 }, (_, index) => {
    const value = index * 17;
    return `<rect x="${middleX - 160 + index * 20}" y="${middleY - 55}" width="20" height="30" fill="rgb(${value},${value},${value})"/>`;
  });
  const fine = Array.from(
    { length: 40 },
    (_, index) => `<path d="M${middleX - 160 + index * 4} ${middleY + 65}v40" stroke="#000" stroke-width="2"/>`,
  );
  const star = Array.from({ length: 36 }, (_, index) => {
    const angle = (index * Math.PI) / 18;
    return `<path d="M${middleX + 110} ${middleY + 85}l${(44 * Math.cos(angle)).toFixed(1)} ${(44 * Math.sin(angle)).toFixed(1)}" stroke="#000"/>`;
  });
  return document(
    width,
    height,
    `<defs><linearGradient id="sky" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#31506f"/>
<stop offset=".5" stop-color="#7f8fa6"/><stop offset="1" stop-color="#d8b48a"/></linearGradient></defs>
<rect width="${width}" height="${height}" fill="url(#sky)"/>${lines.join("")}${patches.join("")}${greys.join("")}
<rect x="${middleX - 160}" y="${middleY - 20}" width="320" height="130" fill="#fff"/>
${text(middleX, middleY + 14, 28, "回源 Huiyuan", 'text-anchor="middle" fill="#111"')}
${text(middleX, middleY + 40, 13, "The quick brown fox 永和九年", 'text-anchor="middle" fill="#333"')}
${fine.join("")}${star.join("")}
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" fill="none" stroke="#e11"/>${corners}`,
  );
}

/** Stored on its side; its EXIF tag turns it upright (orientation 6: turn by 90° clockwise). */
async function turned(chart: string): Promise<Buffer> {
  const lying = await picture(chart).rotate(270).png().toBuffer();
  return sharp(lying).jpeg({ quality: 90 }).withMetadata({ orientation: 6 }).withExifMerge(CAMERA).toBuffer();
}

/** White, black and coloured shapes with hard, soft and half-transparent edges on a transparent ground. */
const CLEAR = document(
  600,
  400,
  `<defs><radialGradient id="glow"><stop offset="0" stop-color="#ffb300"/><stop offset="1" stop-color="#ffb300" stop-opacity="0"/>
</radialGradient><linearGradient id="fade"><stop offset="0" stop-color="#0b5" stop-opacity="0"/><stop offset="1" stop-color="#0b5"/>
</linearGradient></defs><circle cx="150" cy="130" r="110" fill="url(#glow)"/><circle cx="320" cy="120" r="70" fill="#fff"/>
<circle cx="480" cy="120" r="70" fill="#111"/><rect x="40" y="260" width="520" height="40" fill="url(#fade)"/>
<path d="M300 220l80 150h-160z" fill="#d22" fill-opacity=".5" stroke="#900" stroke-width="3"/>
<text x="40" y="370" font-size="40" ${FONT} fill="#225">透明 Clear</text>`,
);

const LOGO = document(
  160,
  80,
  `<rect x="2" y="2" width="156" height="76" rx="18" fill="#0a3d62" fill-opacity=".85" stroke="#fff" stroke-width="3"/>
<circle cx="38" cy="40" r="22" fill="#f6b93b"/><text x="70" y="50" font-size="28" ${FONT} fill="#fff">回源</text>`,
);

const FRAMES = 8;
const DELAYS = Array.from({ length: FRAMES }, () => 120);

/** A disc that moves in a circle on a transparent ground, with the frame's number. */
async function moving(): Promise<Sharp> {
  const [width, height] = [400, 240];
  const frames = Array.from({ length: FRAMES }, (_, index) => {
    const angle = (index * 2 * Math.PI) / FRAMES;
    const [x, y] = [200 + 120 * Math.cos(angle), 120 + 70 * Math.sin(angle)];
    return document(
      width,
      height,
      `<rect x="10" y="10" width="380" height="220" rx="40" fill="#2c5f8a"/><circle cx="${x}" cy="${y}" r="36" fill="#f5c542"/>
<text x="${x}" y="${y + 12}" font-size="34" ${FONT} text-anchor="middle">${index + 1}</text>`,
    );
  });
  const raw = await Promise.all(frames.map((frame) => picture(frame).ensureAlpha().raw().toBuffer()));
  return sharp(Buffer.concat(raw), { raw: { width, height: height * FRAMES, channels: 4, pageHeight: height } });
}
