// Writes the contact sheet: one self-contained HTML file. Before and after stand side by side at one scale, on a
// chequered ground that shows transparency.
import sharp from "sharp";
import { readBmp } from "../../src/serve/image/formats/bmp.ts";
import type { Developed } from "./develop.ts";
import type { Sources } from "./sources.ts";

/** Maximum of a shown picture's longer side, CSS pixels. */
const SHOWN_SIDE = 380;

interface Sides {
  readonly width: number;
  readonly height: number;
}

/** A picture as a browser shows it, after its EXIF rotation. */
interface Shown extends Sides {
  readonly kind: string;
  readonly bytes: number;
}

export async function makePage(
  sections: readonly { readonly title: string; readonly pictures: readonly Developed[] }[],
  sources: Sources,
): Promise<string> {
  const befores = new Map<string, Shown>();
  const styles: string[] = [];
  for (const { name, bytes } of sources.values()) {
    befores.set(name, await shownAs(bytes));
    styles.push(`.${className(name)} { background-image: url(${dataUri(bytes, mediaTypeOf(name))}) }`);
  }
  const parts: string[] = [];
  for (const { title, pictures } of sections) {
    const figures = await Promise.all(pictures.map((picture) => figureOf(picture, befores)));
    parts.push(
      `<section id="${slug(title)}"><h2>${escaped(title)}</h2><div class="sheet">${figures.join("\n")}</div></section>`,
    );
  }
  const links = sections.map(({ title }) => `<a href="#${slug(title)}">${escaped(title)}</a>`).join(" · ");
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Huiyuan: gallery of image processing</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 14px/1.4 system-ui, "Noto Sans CJK SC", sans-serif; margin: 24px; background: #f4f4f1; color: #222 }
h1 { font-weight: 600 } h2 { margin: 32px 0 12px; font-size: 19px }
nav { line-height: 1.9 } a { color: #1a5276 }
.sheet { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start }
figure { margin: 0; padding: 12px; background: #fff; border: 1px solid #ddd; border-radius: 6px; max-width: ${2 * SHOWN_SIDE + 10}px }
.pair { display: flex; gap: 8px; align-items: flex-start }
.pair img { display: block }
.clear { background: repeating-conic-gradient(#d0d0d0 0 25%, #fff 0 50%) 0 0 / 16px 16px; width: fit-content }
.clear div { background-size: 100% 100% }
figcaption code { display: block; margin: 8px 0 2px; word-break: break-all; font-size: 12px }
small { color: #666; display: block; overflow-wrap: anywhere } .note { color: #1d6b3a } .refused { color: #a33 }
pre { white-space: pre-wrap; word-break: break-all; margin: 0; max-width: ${SHOWN_SIDE}px }
${styles.join("\n")}
</style>
<h1>Huiyuan: gallery of image processing</h1>
<p>Each picture before and after, at one scale; below it the instruction, sides in pixels, format, bytes and time.</p>
<nav>${links}</nav>
${parts.join("\n")}
</html>
`;
}

async function figureOf(picture: Developed, befores: ReadonlyMap<string, Shown>): Promise<string> {
  const { example, milliseconds } = picture;
  const before = befores.get(example.source);
  if (before === undefined) throw new Error(`Cannot show ${example.source}`);
  const after = picture.kind === "image" ? await shownAs(picture.bytes) : undefined;
  const scale = Math.min(1, SHOWN_SIDE / longest(before), SHOWN_SIDE / longest(after ?? before));
  const left = `<div><div class="clear"><div class="${className(example.source)}" style="${sized(before, scale)}"></div></div>
<small>${escaped(example.source)} ${factsOf(before)}</small></div>`;
  const right = `<div>${answerOf(picture, after, scale)}</div>`;
  const note = example.note ? `<span class="note">${escaped(example.note)}</span>` : "";
  const plain = readable(example.instruction);
  return `<figure><div class="pair">${left}${right}</div><figcaption><code>?${escaped(example.instruction)}</code>
${plain === example.instruction ? "" : `<small>${escaped(plain)}</small>`}<small>${milliseconds.toFixed(0)} ms ${note}</small></figcaption></figure>`;
}

function answerOf(picture: Developed, after: Shown | undefined, scale: number): string {
  if (picture.kind === "refused")
    return `<p class="refused">${escaped(picture.code)}</p><pre>${escaped(picture.message)}</pre>`;
  if (picture.kind === "text" || after === undefined)
    return `<pre>${escaped(picture.kind === "text" ? JSON.stringify(JSON.parse(picture.text), null, 1) : "")}</pre>`;
  const frames = picture.frames > 1 ? `, ${picture.frames} frames` : "";
  return `<div class="clear"><img alt="" src="${dataUri(picture.bytes, picture.mediaType)}" style="${sized(after, scale)}"></div>
<small>${factsOf(after)}${frames}</small>`;
}

/** A file that sharp cannot read is a BMP, which has no EXIF tag. */
async function shownAs(bytes: Buffer): Promise<Shown> {
  if (bytes.subarray(0, 2).toString("latin1") === "BM") {
    const { width, height } = readBmp(bytes);
    return { width, height, kind: "bmp", bytes: bytes.length };
  }
  const { width, height, pageHeight = height, orientation = 1, format, isProgressive } = await sharp(bytes).metadata();
  const [across, down] = orientation >= 5 ? [pageHeight, width] : [width, pageHeight];
  const kind = format === "heif" ? "avif" : isProgressive ? `${format}, progressive` : format;
  return { width: across, height: down, kind, bytes: bytes.length };
}

function factsOf({ width, height, kind, bytes }: Shown): string {
  return `${width}×${height} ${kind} ${bytes.toLocaleString("en")} B`;
}

/** Decodes the Base64 texts in an instruction. */
function readable(instruction: string): string {
  return instruction.replace(
    /(?<=\/(?:text|image|font|fill|color)\/)[\w=-]+/g,
    (text) => `«${Buffer.from(text, "base64url")}»`,
  );
}

const longest = ({ width, height }: Sides) => Math.max(width, height);
const sized = ({ width, height }: Sides, scale: number) =>
  `width:${Math.max(1, Math.round(width * scale))}px;height:${Math.max(1, Math.round(height * scale))}px`;
const className = (name: string) => `s-${slug(name)}`;
const slug = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
const dataUri = (bytes: Buffer, mediaType: string) => `data:${mediaType};base64,${bytes.toString("base64")}`;

function mediaTypeOf(name: string): string {
  const extension = name.slice(name.lastIndexOf(".") + 1);
  return `image/${extension === "jpg" ? "jpeg" : extension}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
