// Processing under pressure, through the whole program: hostile images, a full render queue, clients that disconnect, a
// small disk, changed limits, and the end of render processes with the server.
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import {
  blackPng,
  claimingJpeg,
  claimingPng,
  claimingWebp,
  framesGif,
  inflatingPng,
  scansJpeg,
} from "../helpers/hostile-images.ts";
import { noisyJpeg, noisyTiff } from "../helpers/images.ts";
import { metric, sizeOf, storedObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { b64 } from "../helpers/rendering.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const RENDER_MS = 8_000;
/** Allowance for scheduling on a busy machine, on top of a render's own time. */
const GRACE_MS = 2_000;

let jpeg: Buffer;
const pictures = new Map<string, Buffer>();
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const ask = (path: string, more: Partial<GetOptions> = {}) => get({ port: program.downloadPort, path, ...more });
const statusOf = ({ status, headers }: GetResult) => [status, headers["x-errno"]];
const renders = () => metric(program.adminPort, "huiyuan_render_seconds_count");
const waiting = () => metric(program.adminPort, "huiyuan_renders_waiting");
const running = () => metric(program.adminPort, "huiyuan_renders_running");
const settings = (limits: object) =>
  oneBucket(mirrorOf(origin.url), {}, { limits: { renderTime: `${RENDER_MS}ms`, ...limits } });

/** An instruction that takes about a second to encode. */
const slowly = (width: number) => `imageMogr2/thumbnail/${width}x/format/avif/quality/90`;
const SLOW = "/slow.png";

async function restart(limits: object): Promise<void> {
  await program.stop();
  await installation.write(settings(limits));
  program = await installation.start();
}

beforeAll(async () => {
  jpeg = await noisyJpeg(1200, 900);
  const { data, info } = await sharp(await noisyJpeg(1500, 1000))
    .raw()
    .toBuffer({ resolveWithObject: true });
  pictures.set(SLOW, await sharp(data, { raw: info }).png({ compressionLevel: 1 }).toBuffer());
  origin = await startScriptedOrigin(({ target }, connection) =>
    connection.send(response(pictures.get(target) ?? jpeg)),
  );
  installation = await install(settings({ renders: 1 }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const THUMBNAIL = "imageView2/2/w/200/format/webp";
const grey = (side: number) =>
  sharp({ create: { width: side, height: side, channels: 3, background: "#808080" }, limitInputPixels: false });

describe("a hostile image is refused or rendered within renderTime, and never causes an internal error", () => {
  test.each<[string, () => Promise<Buffer> | Buffer, string, readonly unknown[][]]>([
    ["a PNG that claims 100 megapixels", () => claimingPng(9999, 9999), THUMBNAIL, [[400, "-441"]]],
    ["a PNG that claims gigapixels", () => claimingPng(60_000, 60_000), THUMBNAIL, [[400, "-447"]]],
    ["a JPEG that claims 65535×65535", () => claimingJpeg(jpeg), THUMBNAIL, [[400, "-447"]]],
    [
      "a WebP that claims the largest size",
      () => claimingWebp(),
      THUMBNAIL,
      [
        [400, "-447"],
        [400, "-441"],
        [424, "-120"],
      ],
    ],
    ["a GIF of 10 000 frames", () => framesGif(1, 1, 10_000), THUMBNAIL, [[400, "-447"]]],
    [
      "a GIF whose frame is larger than its canvas",
      () => framesGif(1, 9_000, 2),
      THUMBNAIL,
      [
        [400, "-447"],
        [200, undefined],
      ],
    ],
    ["a text that inflates to 500 MB", () => inflatingPng("zTXt", 500_000_000), THUMBNAIL, [[200, undefined]]],
    [
      "100 megapixels in 97 KB",
      () => blackPng(10_000, 10_000, 8),
      THUMBNAIL,
      [
        [200, undefined],
        [500, "-901"],
      ],
    ],
    [
      "a JPEG of 1000 scans",
      () => scansJpeg(8000, 1000),
      THUMBNAIL,
      [
        [400, "-441"],
        [500, "-901"],
      ],
    ],
    [
      "an AVIF of 64 megapixels",
      () => grey(8000).avif({ effort: 0, quality: 30 }).toBuffer(),
      THUMBNAIL,
      [
        [400, "-447"],
        [500, "-901"],
      ],
    ],
    [
      "a slow encoder",
      () => grey(5000).png().toBuffer(),
      "imageView2/2/format/avif",
      [
        [400, "-447"],
        [500, "-901"],
      ],
    ],
    ["a pixel blown up to 16383", () => grey(1).png().toBuffer(), "imageMogr2/thumbnail/16383x16383!", [[400, "-442"]]],
    [
      "a result of 300 MB",
      () => grey(1).png().toBuffer(),
      "imageMogr2/thumbnail/9999x9999!/format/bmp",
      [[400, "-442"]],
    ],
    ["a TIFF", () => noisyTiff(20, 20), THUMBNAIL, [[400, "-441"]]],
    [
      "an SVG",
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      THUMBNAIL,
      [[400, "-441"]],
    ],
    ["a page", () => Buffer.from("<!doctype html><title>x</title>"), THUMBNAIL, [[424, "-120"]]],
    ["half a JPEG", () => jpeg.subarray(0, jpeg.length / 2), THUMBNAIL, [[424, "-120"]]],
    ["nothing", () => Buffer.alloc(0), THUMBNAIL, [[424, "-120"]]],
    [
      "a thousand tiles a side",
      () => grey(4000).png().toBuffer(),
      `watermark/2/text/${b64("x")}/batch/1/fontsize/1/spacing/0`,
      [
        [200, undefined],
        [500, "-901"],
      ],
    ],
    ["a text of 10 KB", () => jpeg, `watermark/2/text/${b64("x".repeat(5_000))}`, [[400, "-106"]]],
    ["markup", () => jpeg, `watermark/2/text/${b64("<b>&#x202e;مرحبا</b>\u202e")}`, [[200, undefined]]],
    [
      "thirty slow steps",
      () => grey(4000).png().toBuffer(),
      `imageMogr2${"/rotate/45/crop/3000x3000".repeat(15)}`,
      // Time or memory runs out first, but a fast core may finish in time.
      [
        [200, undefined],
        [400, "-447"],
        [500, "-901"],
      ],
    ],
  ])("%s", async (name, make, instruction, expected) => {
    const path = `/hostile/${encodeURIComponent(name)}`;
    pictures.set(path, await make());
    const began = performance.now();
    const answer = await ask(`${path}?${instruction}`);
    const tookMs = performance.now() - began;
    expect(expected).toContainEqual(statusOf(answer));
    expect(tookMs).toBeLessThan(RENDER_MS + GRACE_MS);
    if (answer.status !== 200) {
      const { code, message, requestId } = JSON.parse(answer.body.toString());
      expect([String(code), requestId]).toEqual([answer.headers["x-errno"], answer.headers["x-request-id"]]);
      expect(message).not.toMatch(/vips|sharp|\/work|at .*:\d/i);
    }
    // Whatever the result was, the next image is served.
    const next = `/good-after-${encodeURIComponent(name)}.jpg`;
    expect(await sizeOf((await ask(`${next}?imageView2/2/w/100`)).body)).toEqual(["jpeg", 100, 75]);
  });

  test("an image that has just failed causes no second render", async () => {
    pictures.set("/again.png", claimingPng(9999, 9999));
    const failures = () => metric(program.adminPort, 'huiyuan_render_failures_total{code="image_not_processable"}');
    await ask(`/again.png?${THUMBNAIL}`);
    const before = await failures();
    for (let time = 0; time < 5; time += 1) {
      expect(statusOf(await ask(`/again.png?${THUMBNAIL}`))).toEqual([400, "-441"]);
    }
    expect(await failures()).toBe(before);
  });
});

describe("the render queue", () => {
  test("responds 503 with Retry-After when it is full, and every request gets a response", async () => {
    await ask(SLOW);
    const answers = await Promise.all(Array.from({ length: 320 }, (_, n) => ask(`${SLOW}?${slowly(1000 + n)}`)));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThanOrEqual(60);
    for (const answer of refused) {
      expect([answer.headers["x-errno"], answer.headers["retry-after"]]).toEqual(["-901", "2"]);
    }
    for (const answer of answers) expect([200, 503]).toContain(answer.status);
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    expect(await waiting()).toBe(0);
    // The 503 was no failure of the image.
    expect((await ask(`${SLOW}?${slowly(1319)}`)).status).toBe(200);
  });

  test("drops a render when its client disconnects, but not while another client waits for it", async () => {
    const before = await renders();
    const first = ask(`${SLOW}?${slowly(900)}`);
    await eventually(async () => (await running()) === 1, "the first render runs");
    const leavers = new AbortController();
    const alone = leaving(`${SLOW}?${slowly(901)}`, leavers.signal);
    const together = leaving(`${SLOW}?${slowly(902)}`, leavers.signal);
    await eventually(async () => (await waiting()) === 2, "two renders wait");
    const other = ask(`${SLOW}?${slowly(902)}`);
    await eventually(
      async () => (await metric(program.adminPort, "huiyuan_renders_collapsed_total")) > 0,
      "it is joined",
    );
    leavers.abort();
    await Promise.all([alone, together]);
    await eventually(async () => (await waiting()) <= 1, "one render has left the queue");
    expect(await sizeOf((await other).body)).toEqual(["heif", 902, 601]);
    expect((await first).status).toBe(200);
    await eventually(async () => (await running()) === 0, "no render is running");
    expect((await renders()) - before).toBe(2);
    // A later request still gets the dropped variant.
    expect((await ask(`${SLOW}?${slowly(901)}`)).status).toBe(200);
  });

  /** Resets the connection: a client that only closes its side may still read, and counts as gone a second later. */
  async function leaving(path: string, signal: AbortSignal): Promise<void> {
    const socket = connect(program.downloadPort, "127.0.0.1");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(signal, "abort");
    socket.resetAndDestroy();
  }
});

describe("limits", () => {
  test("the disk space of variants is bounded, and the least recently used ones are rendered again", async () => {
    await restart({ disk: "1MiB", memory: "1MiB" });
    // 60 variants of some 50 KB each.
    for (let width = 401; width <= 460; width += 1) {
      expect((await ask(`/disk.jpg?imageView2/2/w/${width}/q/100!`)).status).toBe(200);
    }
    const bucketId = `variants/${APPID}/photos`;
    await eventually(() => {
      const bytes = bytesIn(bucketId);
      return bytes > 300_000 && bytes <= 1_048_576;
    }, "the tier is within its bound");
    const before = await renders();
    // The first variants are still in memory, the last ones on the disk.
    expect((await ask("/disk.jpg?imageView2/2/w/430/q/100!")).status).toBe(200);
    expect((await renders()) - before).toBe(1);
    // Disk space is freed gradually.
    expect(keysIn(installation.data, `${APPID}/photos`)).toContain("disk.jpg");
  });

  test("change while the server runs", async () => {
    expect((await ask("/reload.jpg?imageView2/2/w/10")).status).toBe(200);
    await installation.write(settings({ imagePixels: 1000 }));
    await eventually(
      async () =>
        statusOf(await ask(`/reload.jpg?imageView2/2/w/${100 + Math.floor(Math.random() * 900)}`))[1] === "-447",
      "the new limit is in force",
    );
    await installation.write(settings({}));
    await eventually(
      async () => (await ask(`/reload.jpg?imageView2/2/w/${100 + Math.floor(Math.random() * 900)}`)).status === 200,
      "the old limit is in force",
    );
  });

  function bytesIn(bucketId: string): number {
    return storedObjects(installation.data, bucketId).reduce((sum, { size }) => sum + size, 0);
  }
});

describe.skipIf(process.platform !== "linux")("render processes end with the server", () => {
  test.each(["kill", "stop"] as const)("%s", async (how) => {
    const slow = ask(`${SLOW}?${slowly(1400)}/rotate/1`).catch(() => undefined);
    await eventually(() => childrenOf(program.pid).length > 0, "a render process runs");
    const children = childrenOf(program.pid);
    await program[how]();
    await slow;
    await eventually(() => children.every((pid) => !isAlive(pid)), "its render processes have ended", 3_000);
    program = await installation.start();
  });
});

/** Process ids of the children of `parent`. */
function childrenOf(parent: number): string[] {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && statOf(pid)?.[1] === String(parent));
}

function isAlive(pid: string): boolean {
  const state = statOf(pid)?.[0];
  return state !== undefined && state !== "Z";
}

/** State and parent; undefined for a process that has ended. */
function statOf(pid: string): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(/\) /)[1]?.split(" ");
  } catch {
    return undefined; // The process has ended.
  }
}
