// `npm run gallery [FILE]`: writes the contact sheet of image processing and prints its path. Needs a build.
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { develop } from "./develop.ts";
import { makePage } from "./page.ts";
import { COLOURS } from "./sheet-colours.ts";
import { MARKS } from "./sheet-marks.ts";
import { QINIU } from "./sheet-qiniu.ts";
import { SHAPES } from "./sheet-shapes.ts";
import { drawSources } from "./sources.ts";

const file = resolve(process.argv[2] ?? join(tmpdir(), "huiyuan-gallery.html"));
const sources = await drawSources();
const developed = await develop([...SHAPES, ...COLOURS, ...MARKS, ...QINIU], sources);
await mkdir(dirname(file), { recursive: true });
await writeFile(file, await makePage(developed, sources));
console.log(file);
