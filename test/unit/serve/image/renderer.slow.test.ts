import { execFile } from "node:child_process";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shareSignal } from "../../../../src/async/cancellation.ts";
import { parseInstruction } from "../../../../src/serve/image/grammar/grammar.ts";
import { createRenderer, type Renderer, type RenderRequest } from "../../../../src/serve/image/renderer.ts";
import { startRender } from "../../../../src/serve/mirror/variants/shared-render.ts";
import { blackPng } from "../../../helpers/hostile-images.ts";
import {
  animation,
  b64,
  claimsOf,
  colourAt,
  difference,
  GREEN,
  quadrants,
  RED,
  renderText,
  shownAs,
  solid,
} from "../../../helpers/rendering.ts";
import { needs } from "../../../helpers/services.ts";

const OPTIONS = { renders: 1, renderMs: 5000, pixels: 100_000_000, frames: 300 };
/** A render slow enough to be observed: forty blurs of megapixels. */
const SLOW = `imageMogr2${"/blur/50x50".repeat(40)}`;

let renderer: Renderer;
let png: Buffer;
beforeAll(async () => {
  renderer = createRenderer(OPTIONS);
  png = await quadrants(200, 100).png().toBuffer();
});
afterAll(() => renderer.close());

function request(text: string, more: Partial<RenderRequest> = {}): RenderRequest {
  return {
    ...claimsOf(png),
    load: async () => png,
    recipe: parseInstruction(text, { era: 2015 }),
    loadImage: async () => undefined,
    signal: new AbortController().signal,
    ...more,
  };
}

/** The instruction of an image watermark. */
const laid = (look: string) => `watermark/1/image/${b64("http://h/watermark.png")}${look}`;

test("render() returns bytes, media type and facts from another process", async () => {
  const { bytes, mediaType, image } = shownAs(await renderer.render(request("imageView2/2/w/50/format/webp")));
  expect([mediaType, image]).toEqual(["image/webp", { format: "webp", width: 50, height: 25, frames: 1 }]);
  expect(bytes.toString("latin1", 8, 12)).toBe("WEBP");
});

test("render() of one image repeatedly, with others between, returns the right result each time", async () => {
  const other = await solid(60, 60, GREEN).png().toBuffer();
  const large = await solid(2000, 1000, RED).png({ compressionLevel: 0 }).toBuffer();
  const watermark = await solid(4, 4, RED).png().toBuffer();
  const own = createRenderer(OPTIONS);
  const shown: unknown[] = [];
  for (const bytes of [png, png, other, png, large, large, png, other, other]) {
    const text = `watermark/1/image/${b64("http://h/watermark.png")}|imageInfo`;
    const told = await own.render(request(text, { load: async () => bytes, loadImage: async () => watermark }));
    shown.push(JSON.parse(told.toString()).width);
  }
  await own.close();
  expect(shown).toEqual(["200", "200", "60", "200", "2000", "2000", "200", "60", "60"]);
});

test("render() cuts a stripe of a much enlarged image, with and without attention search", async () => {
  const pixel = await solid(1, 1, RED).png().toBuffer();
  for (const text of ["imageMogr2/crop/9999x11", "imageMogr2/scrop/9999x11"]) {
    const { image } = shownAs(await renderer.render(request(text, { load: async () => pixel })));
    expect([image.width, image.height]).toEqual([9999, 11]);
  }
});

test("render() passes codes and the faulty parameter on", async () => {
  const refused = renderer.render(request("imageMogr2/iradius/50"));
  await expect(refused).rejects.toMatchObject({ code: "processing_invalid", parameter: "imageMogr2/iradius" });
  await expect(
    renderer.render(request("imageInfo", { load: async () => Buffer.from("<svg/>") })),
  ).rejects.toMatchObject({
    code: "image_not_processable",
  });
});

test("render() loads each watermark once, and refuses one that is missing, animated or not an image", async () => {
  const asked: string[] = [];
  const watermark = (name: string) => `watermark/1/image/${b64(`http://h/${name}`)}`;
  const watermarks: Record<string, Buffer> = {
    "http://h/good.png": await solid(10, 10, RED).png().toBuffer(),
    "http://h/page.png": Buffer.from("<html>"),
    "http://h/thin.png": await solid(1, 10_001, GREEN).png().toBuffer(),
    "http://h/moving.gif": await animation(10, 20, [RED, GREEN]).gif().toBuffer(),
  };
  const loadImage = async (url: string) => {
    asked.push(url);
    return watermarks[url];
  };
  await renderer.render(request(`${watermark("good.png")}|${watermark("good.png")}/gravity/north`, { loadImage }));
  expect(asked).toEqual(["http://h/good.png"]);
  for (const name of ["none.png", "page.png", "thin.png", "moving.gif"])
    await expect(renderer.render(request(watermark(name), { loadImage })), name).rejects.toMatchObject({
      code: "processing_invalid",
      parameter: "watermark/image",
      wanted: expect.stringMatching(/sides of at most 10000 pixels/),
    });
  const signed = renderer.render(request(watermark("none.png?sign=secret"), { loadImage }));
  await expect(signed).rejects.toThrow(/"http:\/\/h\/none\.png"/);
});

test("render() refuses a watermark that is too large once turned, and names the parameter, scaled or not", async () => {
  const square = await solid(5000, 5000, RED, 0.5).png().toBuffer();
  const refused = renderer.render(request(laid("/degree/45/batch/1"), { loadImage: async () => square }));
  await expect(refused).rejects.toMatchObject({ code: "processing_invalid", parameter: "watermark/degree" });
  const thin = await solid(1, 100, RED).png().toBuffer();
  const scaled = renderer.render(
    request(laid("/scatype/1/spcent/999/degree/45/batch/1"), { loadImage: async () => thin }),
  );
  await expect(scaled).rejects.toMatchObject({ code: "processing_invalid", parameter: "watermark/spcent" });
});

test("render() accepts the largest watermark, enlarged, faded and turned to the limit", async () => {
  const line = await solid(3999, 1, GREEN).png().toBuffer();
  const watermarks = [await solid(10, 10, RED).png().toBuffer(), await solid(3999, 3999, RED, 0.5).png().toBuffer()];
  for (const watermark of watermarks) {
    const text = laid("/scatype/1/spcent/1000/degree/45/batch/1/dissolve/50");
    const more = { load: async () => line, loadImage: async () => watermark };
    expect(shownAs(await renderer.render(request(text, more))).image.format).toBe("png");
  }
});

test("render() accepts the largest text, with a shadow and turned to the limit", async () => {
  for (const look of ["/fontsize/500/shadow/50", "/fontsize/180/shadow/50/degree/45/batch/1"]) {
    const text = `watermark/2/text/${b64("字".repeat(40))}${look}`;
    expect(shownAs(await renderer.render(request(text))).image.format, look).toBe("png");
  }
});

test("render() refuses a text that needs too much memory", needs("fonts"), async () => {
  const tight = createRenderer({ ...OPTIONS, residentBytes: 110 * 1024 * 1024 });
  const text = `watermark/2/text/${b64("字".repeat(40))}/fontsize/500/shadow/50`;
  await expect(tight.render(request(text))).rejects.toMatchObject({ code: "image_too_large" });
  await tight.close();
});

test("render() refuses a size limit, format, step or watermark that needs too much memory", async () => {
  const tight = createRenderer({ ...OPTIONS, residentBytes: 110 * 1024 * 1024 });
  const photo = await quadrants(4000, 2600).jpeg().toBuffer();
  const watermark = await solid(2600, 2600, RED, 0.5).png().toBuffer();
  const more = { load: async () => photo, loadImage: async () => watermark };
  for (const text of [
    "imageMogr2/interlace/1/size-limit/1k",
    "imageMogr2/format/avif",
    "imageMogr2/rotate/45/format/avif/size-limit/1k",
    `${laid("/degree/45/batch/1")}|imageMogr2/rotate/180`,
  ])
    await expect(tight.render(request(text, more)), text).rejects.toMatchObject({ code: "image_too_large" });
  await tight.close();
});

test("render() frees the intermediate image of each step of an image with EXIF", async () => {
  const tight = createRenderer({ ...OPTIONS, residentBytes: 240 * 1024 * 1024 });
  const image = await solid(3000, 3000, GREEN, 0.5)
    .withExif({ IFD0: { Make: "x" } })
    .png()
    .toBuffer();
  const rendered = await tight.render(request("imageMogr2/sharpen/100", { load: async () => image }));
  expect(shownAs(rendered).image).toMatchObject({ width: 3000, height: 3000 });
  await tight.close();
});

test("render() lays a BMP watermark like any other", async () => {
  const watermark = await renderText(await solid(10, 10, RED).png().toBuffer(), "imageMogr2/format/bmp");
  const bytes = await solid(40, 40, GREEN).png().toBuffer();
  const text = `watermark/1/image/${b64("http://h/watermark.bmp")}/gravity/northwest/dx/0/dy/0`;
  const laid = await renderer.render(
    request(text, { load: async () => bytes, loadImage: async () => watermark.bytes }),
  );
  expect(difference(await colourAt(laid, 0.1, 0.1), RED)).toBeLessThan(4);
  expect(difference(await colourAt(laid, 0.6, 0.6), GREEN)).toBeLessThan(4);
});

test("render() kills a render that takes too long, and the next one works", async () => {
  const hasty = createRenderer({ ...OPTIONS, renderMs: 2500 });
  const large = await solid(4000, 4000, RED).png().toBuffer();
  const began = performance.now();
  await expect(hasty.render(request(SLOW, { load: async () => large }))).rejects.toMatchObject({
    code: "render_timeout",
  });
  // Forty blurs of sixteen megapixels are more than that on any machine.
  expect(performance.now() - began).toBeLessThan(6000);
  // Another process must start.
  hasty.resize(OPTIONS);
  expect(shownAs(await hasty.render(request("imageView2/2/w/50"))).image.width).toBe(50);
  await hasty.close();
});

test("render() kills a render that needs too much memory, and the next one works", async () => {
  const tight = createRenderer({ ...OPTIONS, residentBytes: 110 * 1024 * 1024 });
  const large = await solid(5000, 4000, RED).png().toBuffer();
  const refused = tight.render(request("imageMogr2/rotate/45/rotate/45", { load: async () => large }));
  await expect(refused).rejects.toMatchObject({ code: "image_too_large" });
  expect(shownAs(await tight.render(request("imageView2/2/w/50"))).image.width).toBe(50);
  await tight.close();
});

test("render() leaves the queue on an abort and never loads the image", async () => {
  const client = new AbortController();
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const first = renderer.render(request("imageView2/2/w/50", { load: () => held.then(() => png) }));
  let isLoaded = false;
  const second = renderer.render(
    request("imageView2/2/w/50", {
      signal: client.signal,
      load: async () => {
        isLoaded = true;
        return png;
      },
    }),
  );
  expect([renderer.running, renderer.waiting]).toEqual([1, 1]);
  client.abort(new Error("gone"));
  await expect(second).rejects.toThrow("gone");
  expect([renderer.running, renderer.waiting]).toEqual([1, 0]);
  release();
  await first;
  expect([renderer.running, isLoaded]).toEqual([0, false]);
});

/** A load that waits for the test, and the number of its calls. */
function gatedLoad(bytes: Buffer) {
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const gated = {
    times: 0,
    letGo,
    async load() {
      gated.times += 1;
      await held;
      return bytes;
    },
  };
  return gated;
}
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
/** Claims of an image that takes 200 MiB to process. */
const LARGE = { format: "png", width: 5000, height: 5000 } as const;

test("render() gives one of several large images a slot, loads no others, and runs small ones beside it", async () => {
  const two = createRenderer({ ...OPTIONS, renders: 2 });
  const loads = [gatedLoad(png), gatedLoad(png), gatedLoad(png)] as const;
  const text = "imageMogr2/sharpen/50";
  const larges = loads.map(({ load }) => two.render(request(text, { image: LARGE, load })));
  await nextTurn();
  expect([two.running, two.waiting, loads.map(({ times }) => times)]).toEqual([1, 2, [1, 0, 0]]);
  for (const width of [50, 60])
    expect(shownAs(await two.render(request(`imageView2/2/w/${width}`))).image.width).toBe(width);
  for (const { letGo } of loads) letGo();
  await Promise.all(larges);
  expect([two.running, two.waiting, loads.map(({ times }) => times)]).toEqual([0, 0, [1, 1, 1]]);
  await two.close();
});

test("render() releases the slot of an image found to be large while another large one renders", async () => {
  const two = createRenderer({ ...OPTIONS, renders: 2 });
  const claiming = gatedLoad(png);
  const first = two.render(request("imageMogr2/sharpen/50", { image: LARGE, load: claiming.load }));
  let times = 0;
  const large = blackPng(3600, 3600);
  const hidden = async () => {
    times += 1;
    return large;
  };
  const second = two.render(request("imageMogr2/rotate/90/thumbnail/9x", { load: hidden }));
  for (let turns = 0; turns < 99 && two.waiting === 0; turns += 1) await nextTurn();
  expect([two.running, two.waiting, times]).toEqual([1, 1, 1]);
  claiming.letGo();
  await first;
  expect([shownAs(await second).image.width, times]).toEqual([9, 2]);
  // A single one need not wait and is loaded once.
  await two.render(request("imageMogr2/rotate/180/thumbnail/9x", { load: hidden }));
  expect([two.running, times]).toEqual([0, 3]);
  await two.close();
});

test("a render that queues again leaves the queue with its last client", async () => {
  const two = createRenderer({ ...OPTIONS, renders: 2 });
  const claiming = gatedLoad(png);
  const first = two.render(request("imageMogr2/sharpen/50", { image: LARGE, load: claiming.load }));
  const hidden = gatedLoad(blackPng(3600, 3600));
  hidden.letGo();
  const { size, image, recipe } = request("imageMogr2/rotate/90/thumbnail/9x");
  const images = { bytes: { load: hidden.load }, watermarks: new Map() };
  const stop = shareSignal(new AbortController().signal);
  const second = startRender(two, { size, image, recipe, images }, stop);
  const leave = second.join(images);
  const refused = expect(second.result).rejects.toMatchObject({ code: "client_gone" });
  for (let turns = 0; turns < 99 && two.waiting === 0; turns += 1) await nextTurn();
  expect([two.running, two.waiting, hidden.times]).toEqual([1, 1, 1]);
  leave();
  await refused;
  expect([two.running, two.waiting]).toEqual([1, 0]);
  claiming.letGo();
  await first;
  await two.close();
});

test("render() rejects at once on an abort; the slot is free once the process is", async () => {
  const client = new AbortController();
  const large = await solid(2000, 2000, RED).png().toBuffer();
  const running = renderer.render(
    request("imageMogr2/blur/50x50/rotate/9", { load: async () => large, signal: client.signal }),
  );
  await after(0);
  client.abort(new Error("gone"));
  await expect(running).rejects.toThrow("gone");
  expect(renderer.running).toBe(1);
  expect(shownAs(await renderer.render(request("imageView2/2/w/50"))).image.width).toBe(50);
  expect(renderer.running).toBe(0);
});

test("render() refuses with Retry-After if too many renders wait", async () => {
  const narrow = createRenderer({ ...OPTIONS, waiting: 0 });
  const first = narrow.render(request("imageView2/2/w/50"));
  await expect(narrow.render(request("imageView2/2/w/50"))).rejects.toMatchObject({
    code: "render_overloaded",
    retryAfterSeconds: 2,
  });
  await first;
  await narrow.close();
});

test("close() keeps a program alive that has nothing else to do", async () => {
  const pool = new URL("../../../../src/serve/image/renderer.ts", import.meta.url).href;
  const program = `
    const { createRenderer } = await import(${JSON.stringify(pool)});
    const { parseInstruction } = await import(${JSON.stringify(new URL("./grammar/grammar.ts", pool).href)});
    const renderer = createRenderer(${JSON.stringify(OPTIONS)});
    const bytes = Buffer.from(${JSON.stringify(png.toString("base64"))}, "base64");
    const recipe = parseInstruction("imageAve", { era: 2015 });
    const image = { format: "png", width: 200, height: 100 };
    await renderer.render({ size: bytes.length, image, load: async () => bytes, recipe, signal: new AbortController().signal });
    await renderer.close();
    console.log("closed");`;
  const node = ["--import", "tsx", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, node);
  expect(stdout).toBe("closed\n");
});

test("close() fails running renders", async () => {
  const closing = createRenderer(OPTIONS);
  const large = await solid(2000, 2000, RED).png().toBuffer();
  let isLoaded = () => {};
  const loaded = new Promise<void>((resolve) => (isLoaded = resolve));
  const running = closing.render(
    request(SLOW, {
      load: async () => {
        isLoaded();
        return large;
      },
    }),
  );
  const failed = expect(running).rejects.toMatchObject({ code: "render_failed" });
  await loaded;
  await after(0);
  await closing.close();
  await failed;
});

test("render() passes on results in batches while the next image is rendered", async () => {
  const own = createRenderer(OPTIONS);
  await own.render(request("imageView2/2/w/50"));
  let [turn, isOver] = [0, false];
  const count = () => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  count();
  const turns = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      await own.render(request(`imageView2/2/w/${50 + index}`));
      return turn;
    }),
  );
  isOver = true;
  await own.close();
  // Twelve renders end one after the other, in as many turns of the event loop.
  expect(new Set(turns).size).toBeLessThan(9);
});
