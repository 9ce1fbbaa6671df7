// Checks the renderer as an origin: registered jobs are rendered, and a render without jobs leaves the queue.
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../src/core/errors.ts";
import { toKey } from "../../../src/core/object.ts";
import { parseInstruction } from "../../../src/image/grammar/grammar.ts";
import { createRenderOrigin, type RenderJob } from "../../../src/image/render-origin.ts";
import { fakeRenderer } from "../../helpers/fake-renderer.ts";
import { answerOf, ask, codeOf, gather } from "../../helpers/site-under-test.ts";

const KEY = toKey("v/1");
const OTHER = toKey("v/2");
const RECIPE = parseInstruction("imageView2/2/w/9", { era: 2015 });
const job = (text = "source"): RenderJob => ({
  recipe: RECIPE,
  size: Buffer.byteLength(text),
  image: { format: "png", width: 20, height: 10 },
  load: async () => Buffer.from(text),
  loadImage: async () => undefined,
  prefetch: undefined,
});
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function lab() {
  const told: string[] = [];
  const renderer = fakeRenderer((bytes) => Buffer.concat([Buffer.from("rendered "), bytes]));
  const origin = createRenderOrigin(renderer, {
    rendered: () => void told.push("rendered"),
    failed: ({ code }: HuiyuanError) => void told.push(code),
  });
  return { renderer, origin, told };
}

test("fetch() returns the whole result with its length", async () => {
  const { renderer, origin, told } = lab();
  const leave = origin.register(KEY, job());
  const answer = await answerOf(origin.fetch(ask("v/1")));
  leave();
  if (answer === undefined) throw new Error("no answer");
  expect(renderer.begun).toMatchObject([{ size: 6, image: { format: "png", width: 20, height: 10 } }]);
  expect([answer.size, answer.framing, origin.bytesOf(answer)?.toString()]).toEqual([15, "length", "rendered source"]);
  expect((await gather(answer.body)).bytes.toString()).toBe("rendered source");
  origin.releaseBytes(answer);
  expect(origin.bytesOf(answer)).toBeUndefined();
  expect(told).toEqual(["rendered"]);
});

test("fetch() of a key without a job renders nothing", async () => {
  const { origin, renderer } = lab();
  expect(await codeOf(origin.fetch(ask("v/1")))).toBe("client_gone");
  expect(renderer.begun).toEqual([]);
});

test("register() lets a waiting render leave the queue when its last job is withdrawn, not before", async () => {
  const { origin, renderer, told } = lab();
  renderer.holds = true;
  const done = origin.register(OTHER, job());
  const running = origin.fetch(ask("v/2"));
  const leaves = [origin.register(KEY, job("first")), origin.register(KEY, job("second"))] as const;
  const waiting = origin.fetch(ask("v/1"));
  await nextTurn();
  expect([renderer.running, renderer.waiting]).toEqual([1, 1]);
  leaves[0]();
  await nextTurn();
  expect(renderer.waiting).toBe(1);
  leaves[1]();
  expect(await codeOf(waiting)).toBe("client_gone");
  expect(renderer.waiting).toBe(0);
  renderer.letGo(0);
  await running;
  done();
  expect(told).toEqual(["client_gone", "rendered"]);
});

test("fetch() renders from the bytes of another job if the first one is withdrawn", async () => {
  const { origin, renderer } = lab();
  renderer.holds = true;
  const done = origin.register(OTHER, job());
  const running = origin.fetch(ask("v/2"));
  const leaveFirst = origin.register(KEY, { ...job(), load: () => Promise.reject(new Error("its bytes are gone")) });
  const leaveSecond = origin.register(KEY, job("second"));
  const waiting = origin.fetch(ask("v/1"));
  await nextTurn();
  leaveFirst();
  renderer.letGo(0);
  await running;
  done();
  await nextTurn();
  renderer.letGo(1);
  const answer = await answerOf(waiting);
  leaveSecond();
  expect(answer && origin.bytesOf(answer)?.toString()).toBe("rendered second");
});

test("fetch() renders from a job that still has its bytes, and is counted once", async () => {
  const { origin, told } = lab();
  const asked: string[] = [];
  const lost = (name: string): RenderJob => {
    const gone = () => {
      asked.push(name);
      return Promise.reject(new HuiyuanError("original_replaced", "its bytes have gone"));
    };
    return { ...job(), load: gone };
  };
  const leaves = [lost("first"), lost("second"), job("third")].map((each) => origin.register(KEY, each));
  const answer = await answerOf(origin.fetch(ask("v/1")));
  for (const leave of leaves) leave();
  expect(answer && origin.bytesOf(answer)?.toString()).toBe("rendered third");
  expect([asked, told]).toEqual([["first", "second"], ["rendered"]]);
});

test("fetch() throws original_replaced if all jobs lost their bytes; any other error is not retried", async () => {
  const { origin } = lab();
  const failing = (code: "original_replaced" | "store_failed"): RenderJob => ({
    ...job(),
    load: () => Promise.reject(new HuiyuanError(code, "its bytes are not to be had")),
  });
  const leave = [
    origin.register(KEY, failing("original_replaced")),
    origin.register(KEY, failing("original_replaced")),
  ];
  expect(await codeOf(origin.fetch(ask("v/1")))).toBe("original_replaced");
  for (const each of leave) each();
  origin.register(OTHER, failing("store_failed"));
  origin.register(OTHER, job());
  expect(await codeOf(origin.fetch(ask("v/2")))).toBe("store_failed");
});

test("fetch() prefetches from a job that still can, unless the images are local", async () => {
  const { origin } = lab();
  const gone = () => Promise.reject(new HuiyuanError("original_replaced", "its bytes have gone"));
  const far = origin.register(KEY, { ...job(), load: gone, prefetch: gone });
  const near = origin.register(KEY, job("near"));
  const answer = await answerOf(origin.fetch(ask("v/1")));
  expect(answer && origin.bytesOf(answer)?.toString()).toBe("rendered near");
  far();
  near();
});

test("fetch() finishes a started render without any job", async () => {
  const { origin, renderer, told } = lab();
  renderer.holds = true;
  const leave = origin.register(KEY, job());
  const running = origin.fetch(ask("v/1"));
  await nextTurn();
  leave();
  renderer.letGo(0);
  expect((await answerOf(running))?.size).toBe(15);
  expect(told).toEqual(["rendered"]);
});

test("fetch() leaves the queue when the program stops", async () => {
  const { origin, renderer } = lab();
  renderer.holds = true;
  origin.register(OTHER, job());
  void origin.fetch(ask("v/2"));
  origin.register(KEY, job());
  const stop = new AbortController();
  const waiting = origin.fetch(ask("v/1", { signal: stop.signal }));
  await nextTurn();
  stop.abort(new Error("stopping"));
  await expect(waiting).rejects.toThrow("stopping");
  renderer.letGo(0);
});
