// Variants: one render for all clients, one key for each version, and the handling of failures.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, expect, test } from "vitest";
import { createSemaphore } from "../../../../../src/async/semaphore.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { type Log, SILENT_LOG } from "../../../../../src/core/log.ts";
import type { BucketDriver } from "../../../../../src/serve/bucket/contract/driver.ts";
import type { VariantBucket } from "../../../../../src/serve/bucket/tier/disk/variants.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { nameRecipe } from "../../../../../src/serve/image/grammar/named-recipe.ts";
import { watermarkUrls } from "../../../../../src/serve/image/grammar/recipe.ts";
import { createMemoryCache } from "../../../../../src/serve/mirror/stored/memory-cache.ts";
import { readAll } from "../../../../../src/serve/mirror/stored/stored.ts";
import { createWriteBack } from "../../../../../src/serve/mirror/storing/write-back.ts";
import {
  createVariants,
  type Variant,
  type VariantRequest,
} from "../../../../../src/serve/mirror/variants/variants.ts";
import { type FakeRenderer, fakeRenderer } from "../../../../helpers/fake-renderer.ts";
import { noisyPng } from "../../../../helpers/images.ts";
import { createMemoryStore } from "../../../../helpers/memory-store.ts";
import { countingMeter } from "../../../../helpers/mirror-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import { b64 } from "../../../../helpers/rendering.ts";
import { codeOf } from "../../../../helpers/site-under-test.ts";
import { createLatch } from "../../../../helpers/spools.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const VERSION = infoOf("a.jpg", wholeBody(Buffer.from("original")));
const OTHER_VERSION = infoOf("a.jpg", wholeBody(Buffer.from("another")));
const named = (text: string) => nameRecipe(parseInstruction(text, { era: 2015 }));
const SMALL = named("imageView2/2/w/9");

let small: Buffer;
let large: Buffer;
let clock: number;
beforeEach(async () => {
  [small, large] = await Promise.all([noisyPng(20, 20), noisyPng(400, 400)]);
  clock = 1_700_000_000_000;
});

interface LabOptions {
  readonly over?: (driver: BucketDriver) => Partial<BucketDriver>;
  readonly log?: Log;
  /** The memory cache keeps no larger objects, so larger results are read from the bucket. */
  readonly maxObjectBytes?: number;
  /** Bytes of results whose writes are pending. */
  readonly room?: number;
}

function lab(renderer: FakeRenderer, options: LabOptions = {}) {
  const { over = () => ({}), log = SILENT_LOG, maxObjectBytes = 1_000_000, room } = options;
  const now = () => clock;
  const memory = createMemoryStore(now).bucket("variants");
  const driver = { ...memory, ...over(memory) };
  const memoryCache = createMemoryCache({ maxBytes: 10_000_000, maxObjectBytes });
  const meter = countingMeter();
  const stop = new AbortController();
  const renders = createSemaphore(100);
  const store: VariantBucket = {
    driver,
    async *forget(prefix) {
      const { objects } = await driver.list({ prefix, after: undefined, limit: 1_000 });
      for (const { key } of objects) {
        await driver.purge(key, { hard: true });
        yield key;
      }
    },
  };
  const variants = createVariants("10001234/photos", store, memoryCache, {
    renderer,
    meter: { ...meter, rendered() {}, failed() {} },
    writeBack: createWriteBack({ now, log, meter, retryMs: [] }),
    room: createSemaphore(room ?? 67_108_864),
    renders,
    log,
    now,
    ticks: now,
    signal: stop.signal,
  });
  const keys = async () =>
    (await driver.list({ prefix: "", after: undefined, limit: 10 })).objects.map(({ key }) => key);
  return { variants, memoryCache, meter, keys, renders, stop };
}

function request(more: Partial<VariantRequest> = {}): VariantRequest {
  return {
    version: VERSION,
    named: SMALL,
    watermarks: new Map(),
    bytes: { load: async () => Buffer.from("original") },
    isStored: true,
    signal: new AbortController().signal,
    ...more,
  };
}

async function bytesOf({ found }: Variant): Promise<Buffer> {
  if (found.state !== "large") return found.object.body;
  try {
    return await readAll(found.reader, found.info.size);
  } finally {
    found.reader.close();
  }
}

test("get() renders once for all clients, and never again", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants, keys } = lab(renderer);
  const made = await Promise.all(Array.from({ length: 100 }, () => variants.get(request())));
  for (const variant of made) expect((await bytesOf(variant)).equals(small)).toBe(true);
  await eventually(async () => (await keys()).length === 1, "it is stored");
  const again = await variants.get(request());
  expect([again.kind, (await bytesOf(again)).equals(small), renderer.begun.length]).toEqual(["found", true, 1]);
  expect(variants.peek(VERSION, SMALL)?.body.equals(small)).toBe(true);
});

test("a result on disk is not in memory while clients read it", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let rendered: WeakRef<Buffer> | undefined;
  const make = () => {
    const bytes = Buffer.from(large);
    rendered = new WeakRef(bytes);
    return bytes;
  };
  const { variants } = lab(fakeRenderer(make), { maxObjectBytes: 100_000, over: copying });
  const all = await Promise.all([variants.get(request()), variants.get(request())]);
  expect(all).toMatchObject([{ kind: "made", found: { state: "large", info: { size: large.length } } }, {}]);
  await eventually(() => {
    collect();
    return rendered !== undefined && rendered.deref() === undefined;
  }, "the result is garbage");
  for (const each of all) expect((await bytesOf(each)).equals(large)).toBe(true);
});

/** A disk: unlike the store in memory, it does not keep the buffer itself. */
const copying = ({ put }: BucketDriver): Partial<BucketDriver> => ({
  put: (info, body, condition) =>
    put(
      info,
      body.content.kind === "file"
        ? body
        : { ...body, content: { kind: "buffer", buffer: Buffer.from(body.content.buffer) } },
      condition,
    ),
});

test("while slow clients hold much memory, a result is read from the bucket", async () => {
  const { variants, memoryCache } = lab(fakeRenderer(() => large));
  const release = memoryCache.chunks.hold(33_554_432);
  const variant = await variants.get(request());
  expect(variant.found.state).not.toBe("loaded");
  expect((await bytesOf(variant)).equals(large)).toBe(true);
  release();
});

test("while slow clients hold much memory, a result that may not be stored is refused if it is large", async () => {
  let result = large;
  const { variants, memoryCache } = lab(fakeRenderer(() => result));
  const release = memoryCache.chunks.hold(33_554_432);
  expect(await codeOf(variants.get(request({ isStored: false })))).toBe("not_kept");
  result = small;
  expect((await bytesOf(await variants.get(request({ isStored: false })))).equals(small)).toBe(true);
  release();
});

test("get() continues to serve if the disk accepts nothing", async () => {
  const full = () => Promise.reject(new HuiyuanError("store_full", "no room"));
  const { variants, keys } = lab(
    fakeRenderer(() => large),
    { over: () => ({ put: full }), maxObjectBytes: 100_000 },
  );
  const variant = await variants.get(request());
  expect((await bytesOf(variant)).equals(large)).toBe(true);
  expect([variant.kind, await keys()]).toEqual(["made", []]);
});

test("while too many results wait to be written, the next one is kept in memory only", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants, keys, meter } = lab(renderer, { room: 0 });
  for (let time = 0; time < 2; time += 1) {
    expect((await bytesOf(await variants.get(request()))).equals(small)).toBe(true);
    await eventually(() => variants.peek(VERSION, SMALL) !== undefined, "it is in memory");
  }
  expect([renderer.begun.length, await keys()]).toEqual([1, []]);
  expect(meter.events.filter((text) => text.startsWith("not"))).toEqual(["not stored overloaded"]);
});

test("get() makes other variants for another version, recipe or watermark", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants, keys } = lab(renderer);
  const url = "http://h/m.png";
  const marked = named(`watermark/1/image/${b64(url)}`);
  const mark = (sha256: string) => new Map([[url, { sha256, bytes: { load: async () => small } }]]);
  const requests = [
    request(),
    request({ version: OTHER_VERSION }),
    request({ named: named("imageView2/2/w/8") }),
    request({ named: marked, watermarks: mark("11") }),
    request({ named: marked, watermarks: mark("22") }),
  ];
  for (const each of [...requests, ...requests]) await bytesOf(await variants.get(each));
  expect(renderer.begun.length).toBe(5);
  await eventually(async () => (await keys()).length === 5, "all are stored");
  for (const key of await keys()) expect(key).toMatch(/^[0-9a-f]{64}\/[0-9a-f]{32}$/);
});

test("drop() removes the variants of one version, and no others", async () => {
  const { variants, keys, memoryCache } = lab(fakeRenderer(() => small));
  for (const version of [VERSION, OTHER_VERSION]) await bytesOf(await variants.get(request({ version })));
  await eventually(async () => (await keys()).length === 2, "both are stored");
  await variants.drop(VERSION);
  expect(await keys()).toEqual([expect.stringContaining(OTHER_VERSION.hashes.sha256)]);
  expect([variants.peek(VERSION, SMALL), variants.peek(OTHER_VERSION, SMALL) === undefined]).toEqual([
    undefined,
    false,
  ]);
  expect(memoryCache.usage().objects).toBe(1);
});

test("get() of an original that may not be stored stores nothing, and still renders once for all clients", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants, keys } = lab(renderer);
  const made = await Promise.all(Array.from({ length: 5 }, () => variants.get(request({ isStored: false }))));
  for (const variant of made) expect((await bytesOf(variant)).equals(small)).toBe(true);
  expect([renderer.begun.length, await keys()]).toEqual([1, []]);
});

test("get() refuses a source that is too heavy before it is read", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants } = lab(renderer);
  const version = { ...VERSION, size: 1_000_001 };
  expect(await codeOf(variants.get(request({ version })))).toBe("image_too_heavy");
  expect(renderer.begun).toEqual([]);
});

test.each([
  ["render_timeout", 9_999, 10_001],
  ["image_not_processable", 9_999, 10_001],
] as const)("%s is told again for a while without another render", async (code, within, after) => {
  const renderer = fakeRenderer(() => Promise.reject(new HuiyuanError(code, "it fails")));
  const { variants } = lab(renderer);
  const ask = () => codeOf(variants.get(request()));
  expect(await ask()).toBe(code);
  clock += within;
  expect([await ask(), renderer.begun.length]).toEqual([code, 1]);
  clock += after - within;
  expect([await ask(), renderer.begun.length]).toEqual([code, 2]);
});

test.each(["render_overloaded", "store_failed", "store_corrupt"] as const)(
  "%s is no failure of the image",
  async (code) => {
    let fails = true;
    const failure = new HuiyuanError(code, "not now");
    const { variants } = lab(fakeRenderer(() => (fails ? Promise.reject(failure) : small)));
    expect(await codeOf(variants.get(request()))).toBe(code);
    fails = false;
    expect((await bytesOf(await variants.get(request()))).equals(small)).toBe(true);
  },
);

test("a client that joins a render just as it is given up still gets the variant", async () => {
  const renderer = fakeRenderer(() => small);
  renderer.holds = true;
  const { variants } = lab(renderer);
  const busy = variants.get(request({ named: named("imageView2/2/w/1") }));
  const leaver = new AbortController();
  const left = codeOf(variants.get(request({ signal: leaver.signal })));
  await eventually(() => renderer.waiting === 1, "it waits");
  leaver.abort(new HuiyuanError("client_gone", "left"));
  const joined = variants.get(request());
  expect(await left).toBe("client_gone");
  renderer.holds = false;
  renderer.letGo(0);
  await bytesOf(await busy);
  expect((await bytesOf(await joined)).equals(small)).toBe(true);
});

test("a client that joins after all others have lost their bytes gets the variant from its own", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants } = lab(renderer);
  const gone = () => Promise.reject(new HuiyuanError("original_replaced", "it has gone"));
  const lost = codeOf(variants.get(request({ bytes: { load: gone } })));
  // In every microtask until the failure has reached its client, another client joins.
  const joining: Promise<Variant>[] = [];
  for (let isLost = false; !isLost; ) {
    joining.push(variants.get(request()));
    isLost = await Promise.race([lost.then(() => true), Promise.resolve().then(() => false)]);
  }
  for (const each of joining) expect((await bytesOf(await each)).equals(small)).toBe(true);
});

test("a stop refuses new renders, cancels those that wait, and counts them until they have ended", async () => {
  const renderer = fakeRenderer(() => small);
  renderer.holds = true;
  const { variants, renders, stop } = lab(renderer);
  const busy = variants.get(request());
  const waits = codeOf(variants.get(request({ version: OTHER_VERSION })));
  await eventually(() => renderer.waiting === 1, "one waits");
  expect(renders.running).toBe(2);
  stop.abort(new HuiyuanError("draining", "it stops"));
  expect(await waits).toBe("draining");
  expect(await codeOf(variants.get(request({ named: named("imageView2/2/w/8") })))).toBe("draining");
  expect(renders.running).toBe(1);
  renderer.letGo(0);
  await busy;
  expect(renders.running).toBe(0);
});

test("a watermark is found for a render whose first client, with its own token in the watermark's URL, has left", async () => {
  const renderer = fakeRenderer(async (bytes, { recipe, loadImage }) => {
    const laid = await Promise.all(watermarkUrls(recipe).map(loadImage));
    return laid.some((mark) => mark === undefined) ? bytes : small;
  });
  renderer.holds = true;
  const { variants } = lab(renderer);
  const busy = variants.get(request());
  const plain = "http://h/m.png";
  const marks = new Map([[plain, { sha256: "11", bytes: { load: async () => small } }]]);
  const ask = (token: string, signal = new AbortController().signal) =>
    variants.get(
      request({ named: named(`watermark/1/image/${b64(`${plain}?sign=${token}`)}`), watermarks: marks, signal }),
    );
  const leaver = new AbortController();
  const left = codeOf(ask("one", leaver.signal));
  const stays = ask("two");
  await eventually(() => renderer.waiting === 1, "both wait for one render");
  leaver.abort(new HuiyuanError("client_gone", "left"));
  expect(await left).toBe("client_gone");
  renderer.holds = false;
  renderer.letGo(0);
  await bytesOf(await busy);
  expect((await bytesOf(await stays)).equals(small)).toBe(true);
  expect(renderer.begun.length).toBe(2);
});

/** Bytes that are remote until `arrive`. */
function farBytes(bytes: Buffer) {
  const latch = createLatch();
  const told: string[] = [];
  const load = () => Promise.reject(new Error("it is far away"));
  async function download() {
    told.push("asked for");
    await latch.opened;
    told.push("here");
    return { load: async () => bytes, release: () => void told.push("released") };
  }
  return { bytes: { load, download }, told, arrive: () => latch.open() };
}

test("a remote image is downloaded before its render slot, which others use meanwhile", async () => {
  const renderer = fakeRenderer(async (bytes, { recipe, loadImage }) => {
    const laid = await Promise.all(watermarkUrls(recipe).map(loadImage));
    return laid.some((mark) => mark === undefined) || bytes.length === 0 ? Buffer.alloc(0) : small;
  });
  const { variants } = lab(renderer);
  const [original, mark] = [farBytes(Buffer.from("original")), farBytes(small)];
  const marks = new Map([["http://h/m.png", { sha256: "11", bytes: mark.bytes }]]);
  const marked = named(`watermark/1/image/${b64("http://h/m.png")}`);
  const far = variants.get(request({ named: marked, watermarks: marks, bytes: original.bytes }));
  await eventually(() => original.told.length + mark.told.length === 2, "both are asked for");
  await bytesOf(await variants.get(request()));
  expect(renderer.begun.length).toBe(1);
  original.arrive();
  mark.arrive();
  expect((await bytesOf(await far)).equals(small)).toBe(true);
  for (const { told } of [original, mark]) expect(told).toEqual(["asked for", "here", "released"]);
});

test("a client that leaves during a download is released at once, and the image once it has arrived", async () => {
  const { variants } = lab(fakeRenderer(() => small));
  const original = farBytes(Buffer.from("original"));
  const leaver = new AbortController();
  const left = codeOf(variants.get(request({ bytes: original.bytes, signal: leaver.signal })));
  await eventually(() => original.told.length === 1, "it is asked for");
  leaver.abort(new HuiyuanError("client_gone", "left"));
  expect(await left).toBe("client_gone");
  original.arrive();
  await eventually(() => original.told.at(-1) === "released", "it is let go");
});

test("if one of several remote images cannot be downloaded, the others are released", async () => {
  const { variants } = lab(fakeRenderer(() => small));
  const original = farBytes(Buffer.from("original"));
  const failure = () => Promise.reject(new HuiyuanError("store_failed", "it cannot be asked"));
  const marks = new Map([["http://h/m.png", { sha256: "11", bytes: { load: failure, download: failure } }]]);
  const marked = named(`watermark/1/image/${b64("http://h/m.png")}`);
  original.arrive();
  expect(await codeOf(variants.get(request({ named: marked, watermarks: marks, bytes: original.bytes })))).toBe(
    "store_failed",
  );
  expect(original.told.at(-1)).toBe("released");
});

test("a shared render whose first client has lost its bytes is made from those of another one", async () => {
  const renderer = fakeRenderer(() => small);
  const { variants } = lab(renderer);
  const [began, latch] = [createLatch(), createLatch()];
  const load = async () => {
    began.open();
    await latch.opened;
    throw new HuiyuanError("original_replaced", "it has gone");
  };
  // More than one render after another would have shown it.
  const losers = Array.from({ length: 8 }, () => variants.get(request({ bytes: { load } })));
  await began.opened;
  const joined = variants.get(request());
  await new Promise((resolve) => setImmediate(resolve));
  latch.open();
  for (const made of [...losers, joined]) expect((await bytesOf(await made)).equals(small)).toBe(true);
  expect(renderer.begun).toHaveLength(1);
});

test.each([
  ["neither an image nor JSON", () => Buffer.from("<html>{}</html>")],
  ["half an image", () => small.subarray(0, small.length / 2)],
  ["empty", () => Buffer.alloc(0)],
])("get() fails for a result that is %s", async (_, make) => {
  const { variants, keys } = lab(fakeRenderer(make));
  expect(await codeOf(variants.get(request()))).toBe("render_failed");
  expect(await keys()).toEqual([]);
});

test("facts are variants too", async () => {
  const json = Buffer.from('{"format":"png"}');
  const { variants, keys } = lab(fakeRenderer(() => json));
  const facts = named("imageInfo");
  const made = await variants.get(request({ named: facts }));
  expect(made).toMatchObject({ kind: "made", found: { object: { info: { image: { format: "json" } } } } });
  expect((await bytesOf(made)).equals(json)).toBe(true);
  await eventually(async () => (await keys()).length === 1, "they are stored");
});

test("a variant whose original is removed during the render is served to its clients, and not stored", async () => {
  const renderer = fakeRenderer(() => small);
  renderer.holds = true;
  const { variants, keys, meter } = lab(renderer);
  const before = variants.get(request());
  await eventually(() => renderer.running === 1, "it is being made");
  await variants.drop(VERSION);
  renderer.letGo(0);
  expect((await bytesOf(await before)).equals(small)).toBe(true);
  await eventually(() => renderer.running === 0, "it is over");
  const stored = meter.events.filter((text) => text.startsWith("stored"));
  expect([await keys(), variants.peek(VERSION, SMALL), stored]).toEqual([[], undefined, []]);
});

test("a render that goes on while its original is removed and stored again is shared, and stored", async () => {
  const renderer = fakeRenderer(() => small);
  renderer.holds = true;
  const { variants, keys } = lab(renderer);
  const before = variants.get(request());
  await eventually(() => renderer.running === 1, "it is being made");
  await variants.drop(VERSION);
  const after = variants.get(request());
  renderer.letGo(0);
  for (const variant of [before, after]) expect((await bytesOf(await variant)).equals(small)).toBe(true);
  await eventually(async () => (await keys()).length === 1, "it is kept");
  expect(renderer.begun).toHaveLength(1);
});

test("a variant whose original is removed during the write is removed again", async () => {
  const latch = createLatch();
  const { variants, keys } = lab(
    fakeRenderer(() => small),
    {
      over: (driver) => ({
        async put(...parts) {
          const result = await driver.put(...parts);
          await latch.opened;
          return result;
        },
      }),
    },
  );
  await bytesOf(await variants.get(request()));
  await eventually(async () => (await keys()).length === 1, "it is being written");
  const dropped = variants.drop(VERSION);
  latch.open();
  await dropped;
  await eventually(async () => (await keys()).length === 0, "nothing is left");
  expect(variants.peek(VERSION, SMALL)).toBeUndefined();
});

test("while the disk accepts nothing a variant is kept in memory", async () => {
  const renderer = fakeRenderer(() => small);
  const full = new HuiyuanError("store_full", "no room");
  const { variants, keys } = lab(renderer, { over: () => ({ put: () => Promise.reject(full) }) });
  for (let time = 0; time < 3; time += 1) {
    expect((await bytesOf(await variants.get(request()))).equals(small)).toBe(true);
    await eventually(() => variants.peek(VERSION, SMALL) !== undefined, "it is in memory");
  }
  expect([renderer.begun.length, await keys()]).toEqual([1, []]);
});

/** Like real loggers: methods that call others of the same object. */
class ListLog implements Log {
  readonly errors: string[] = [];
  #write(level: string, message: string): void {
    if (level === "error") this.errors.push(message);
  }
  debug(_fields: object, message: string): void {
    this.#write("debug", message);
  }
  info(_fields: object, message: string): void {
    this.#write("info", message);
  }
  warn(_fields: object, message: string): void {
    this.#write("warn", message);
  }
  error(_fields: object, message: string): void {
    this.#write("error", message);
  }
}

test("a variant that no disk keeps is served, and logged", async () => {
  const put = () => Promise.reject(new HuiyuanError("store_full", "no room"));
  const log = new ListLog();
  const { variants } = lab(
    fakeRenderer(() => large),
    { over: () => ({ put }), log },
  );
  expect((await bytesOf(await variants.get(request()))).equals(large)).toBe(true);
  await eventually(() => log.errors.length > 0, "it is told");
  expect(log.errors).toEqual(["gave up storing an image"]);
});
