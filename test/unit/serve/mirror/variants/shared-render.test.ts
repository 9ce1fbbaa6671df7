// One render for many clients: it reads from a client that still has its images, and leaves the queue with its last
// client.
import { expect, test } from "vitest";
import { shareSignal } from "../../../../../src/async/cancellation.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import type { ImageBytes, RenderImages } from "../../../../../src/serve/mirror/stored/image-bytes.ts";
import { startRender } from "../../../../../src/serve/mirror/variants/shared-render.ts";
import { fakeRenderer } from "../../../../helpers/fake-renderer.ts";
import { codeOf } from "../../../../helpers/site-under-test.ts";

const RECIPE = parseInstruction("imageView2/2/w/9", { era: 2015 });
const IMAGE = { format: "png", width: 20, height: 10 } as const;
const images = (text = "source", bytes: Partial<ImageBytes> = {}): RenderImages => ({
  bytes: { load: async () => Buffer.from(text), ...bytes },
  watermarks: new Map(),
});
const gone = () => Promise.reject(new HuiyuanError("original_replaced", "its bytes have gone"));
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function lab() {
  const renderer = fakeRenderer((bytes) => Buffer.concat([Buffer.from("rendered "), bytes]));
  const stop = new AbortController();
  /** Starts a render with these clients, in order. */
  const start = (first = images(), ...others: readonly RenderImages[]) => {
    const task = { recipe: RECIPE, size: 6, image: IMAGE, images: first };
    const render = startRender(renderer, task, shareSignal(stop.signal));
    const text = async () => (await render.result).bytes.toString();
    return { ...render, text, leaves: [first, ...others].map(render.join) };
  };
  return { renderer, stop, start };
}

test("startRender() returns the whole result", async () => {
  const { renderer, start } = lab();
  const { text, result } = start();
  expect(await text()).toBe("rendered source");
  expect((await result).milliseconds).toBeGreaterThanOrEqual(0);
  expect(renderer.begun).toMatchObject([{ size: 6, image: IMAGE }]);
});

test("a waiting render leaves the queue when its last client leaves, not before", async () => {
  const { renderer, start } = lab();
  renderer.holds = true;
  const running = start();
  const waiting = start(images("first"), images("second"));
  await nextTurn();
  expect([renderer.running, renderer.waiting]).toEqual([1, 1]);
  waiting.leaves[0]?.();
  await nextTurn();
  expect([renderer.waiting, waiting.isJoinable()]).toEqual([1, true]);
  waiting.leaves[1]?.();
  expect(waiting.isJoinable()).toBe(false);
  expect(await codeOf(waiting.result)).toBe("client_gone");
  expect(renderer.waiting).toBe(0);
  renderer.letGo(0);
  expect(await running.text()).toBe("rendered source");
});

test("a render reads from another client if the first one has left", async () => {
  const { renderer, start } = lab();
  renderer.holds = true;
  start();
  const first = images("", { load: () => Promise.reject(new Error("its bytes are gone")) });
  const waiting = start(first, images("second"));
  await nextTurn();
  waiting.leaves[0]?.();
  renderer.letGo(0);
  await nextTurn();
  renderer.letGo(1);
  expect(await waiting.text()).toBe("rendered second");
});

test("a render reads from a client that still has its bytes, also if it joins meanwhile", async () => {
  const { start } = lab();
  const asked: string[] = [];
  const lost = (name: string, join = () => {}) =>
    images(name, {
      load() {
        asked.push(name);
        join();
        return gone();
      },
    });
  const render = start(
    lost("first"),
    lost("second", () => render.join(images("third"))),
  );
  expect(await render.text()).toBe("rendered third");
  expect(asked).toEqual(["first", "second"]);
});

test("a render fails if all clients lost their bytes; any other error is not retried", async () => {
  const { start } = lab();
  const lost = start(images("", { load: gone }), images("", { load: gone }));
  expect(await codeOf(lost.result)).toBe("original_replaced");
  expect(lost.isJoinable()).toBe(false);
  const load = () => Promise.reject(new HuiyuanError("store_failed", "the bytes cannot be read"));
  expect(await codeOf(start(images("", { load }), images()).result)).toBe("store_failed");
});

test("a render prefetches from a client that still can, unless its images are local", async () => {
  const { start } = lab();
  expect(await start(images("", { load: gone, download: gone }), images("near")).text()).toBe("rendered near");
});

test("a started render is finished without any client", async () => {
  const { renderer, start } = lab();
  renderer.holds = true;
  const render = start();
  await nextTurn();
  render.leaves[0]?.();
  expect(render.isJoinable()).toBe(true);
  renderer.letGo(0);
  expect(await render.text()).toBe("rendered source");
});

test("a render leaves the queue when the program stops", async () => {
  const { renderer, start, stop } = lab();
  renderer.holds = true;
  void start();
  const waiting = start();
  await nextTurn();
  stop.abort(new Error("stopping"));
  await expect(waiting.result).rejects.toThrow("stopping");
  renderer.letGo(0);
});
