// Links that were made for Qiniu, and operations that are not known, through the whole program.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { sizeOf } from "../helpers/processing.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { b64, colourAt, quadrants, RED, solid, WHITE } from "../helpers/rendering.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
const ask = (path: string) => get({ port: program.downloadPort, host: "img.example", path });
const mark = (url: string) => `watermark/1/image/${b64(url)}/dx/0/dy/0`;

beforeAll(async () => {
  const pictures: Readonly<Record<string, Buffer>> = {
    "/a.png": await quadrants(640, 427).png().toBuffer(),
    "/white.png": await solid(200, 100, WHITE).png().toBuffer(),
    "/logo.png": await solid(40, 20, RED).png().toBuffer(),
  };
  origin = await startScriptedOrigin(({ target }, connection) => {
    const picture = pictures[target];
    return connection.send(picture === undefined ? response("", { status: "404 Not Found" }) : response(picture));
  });
  const more = { grammarEra: "qiniu", separators: ["@", "!"], aliases: { small: "imageView2/1/w/100/h/100" } };
  installation = await install(oneBucket(mirrorOf(origin.url), more));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test.each([
  ["/a.png?imageView2/1/w/800/h/800", 640, 427],
  ["/a.png?imageMogr2/crop/300x300&e=1451491200&token=AK:sign", 300, 300],
  ["/a.png?v=1&%7CimageMogr2%2Fthumbnail%2F!50p%2F%7C", 320, 214],
  ["/a.png@small", 100, 100],
  ["/a.png!small", 100, 100],
])("%s is %i×%i", async (path, width, height) => {
  const { status, body } = await ask(path);
  expect([status, ...(await sizeOf(body))]).toEqual([200, "png", width, height]);
});

test.each([
  ["http://img.example/logo.png", 160, 80],
  ["http://img.example/logo.png?imageMogr/thumbnail/20x10!", 180, 90],
  ["kodo://photos/logo.png", 160, 80],
])("the watermark %s begins at %i,%i", async (url, left, top) => {
  const { status, body } = await ask(`/white.png?${mark(url)}`);
  expect(status).toBe(200);
  const at = (x: number, y: number) => colourAt(body, (x + 0.5) / 200, (y + 0.5) / 100);
  expect(await at(left, top)).toEqual([...RED]);
  expect(await at(left - 1, top)).toEqual([...WHITE]);
  expect(await at(left, top - 1)).toEqual([...WHITE]);
});

test.each([
  [mark("kodo://other/logo.png"), "watermark/image"],
  [mark("kodo://photos/none.png"), "watermark/image"],
  [mark("http://img.example/logo.png?qrcode/1"), "qrcode"],
  ["imageview2/2/w/9", "imageview2"],
  ["imageView2format/webp", "imageView2format"],
  ["imageSlim", "imageSlim"],
  ["animate/duration/9", "animate"],
  ["vframe/jpg/offset/1", "vframe"],
  ["ci-process=qrcode", "ci-process"],
  ["exif=1", "exif=1"],
  ["imageView2/2/w/9|saveas/cGhvdG9z", "saveas"],
])("?%s is 400, -106, and names %s", async (query, name) => {
  const { status, headers, body } = await ask(`/a.png?${query}`);
  expect([status, headers["x-errno"]]).toEqual([400, "-106"]);
  expect(body.toString()).toContain(name);
});

test.each(["", "?v=1", "?watermark=1&ww=9", "?w=9&crop=1", "?ci-process=originImage"])(
  "/a.png%s is the original",
  async (query) => {
    const { status, body } = await ask(`/a.png${query}`);
    expect([status, ...(await sizeOf(body))]).toEqual([200, "png", 640, 427]);
  },
);
