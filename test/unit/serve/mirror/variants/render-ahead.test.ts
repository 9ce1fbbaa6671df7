// Styles that are rendered before their first request: one after the other, if the object exists, and never with an
// error.
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { nameRecipe } from "../../../../../src/serve/image/grammar/named-recipe.ts";
import { createRenderAhead } from "../../../../../src/serve/mirror/variants/render-ahead.ts";
import type { Variants } from "../../../../../src/serve/mirror/variants/variants.ts";
import { storedLab } from "../../../../helpers/mirror-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const named = (text: string) => nameRecipe(parseInstruction(text, { era: 2015 }));
const STYLES = [named("imageView2/2/w/9"), named("imageView2/2/w/8/format/auto")];

async function lab(options: { readonly fails?: boolean } = {}) {
  const { stored } = storedLab();
  for (const key of ["a.jpg", "b.jpg"]) {
    const body = wholeBody(Buffer.from(key));
    await stored.put(infoOf(key, body, "upload"), body, { when: "always" });
  }
  const made: string[] = [];
  let running = 0;
  let most = 0;
  const variants: Variants = {
    peek: () => undefined,
    preview: () => Promise.reject(new Error("not asked")),
    list: async () => ({ variants: [], next: undefined }),
    drop: () => Promise.resolve(),
    async get({ version, named: { recipe }, bytes }) {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      made.push(`${await bytes.load()} ${version.size} ${recipe.output.format}`);
      running -= 1;
      if (options.fails) throw new Error("it fails");
      const info = infoOf("v", wholeBody(Buffer.from("v")));
      return { kind: "found", found: { state: "memory", object: { info, body: Buffer.from("v"), epoch: 0 } } };
    },
  };
  const stop = new AbortController();
  const ahead = createRenderAhead({ log: SILENT_LOG, signal: stop.signal });
  const begin = (key: string, styles = STYLES) =>
    ahead.begin({
      ...{ stored, variants, key: toKey(key), styles },
      findWatermarks: async () => ({ watermarks: new Map(), isStorable: true, release() {} }),
    });
  const idle = () => eventually(() => ahead.waiting === 0, "all is rendered");
  return { made, ahead, begin, idle, stop, most: () => most };
}

test("begin() renders every style of a stored image, one at a time, those by Accept as for browsers", async () => {
  const { begin, idle, made, most } = await lab();
  begin("a.jpg");
  begin("b.jpg");
  await idle();
  expect(made).toEqual(["a.jpg 5 undefined", "a.jpg 5 autoAvif", "b.jpg 5 undefined", "b.jpg 5 autoAvif"]);
  expect(most()).toBe(1);
});

test("begin() skips a missing object, a failing render, and an object without styles", async () => {
  const { begin, idle, made } = await lab({ fails: true });
  begin("none.jpg");
  begin("a.jpg", []);
  begin("b.jpg");
  await idle();
  expect(made).toEqual(["b.jpg 5 undefined", "b.jpg 5 autoAvif"]);
});

test("begin() drops tasks beyond its queue, and starts none once the program stops", async () => {
  const { begin, ahead, made, stop } = await lab();
  for (let number = 0; number < 1_100; number += 1) begin("a.jpg");
  expect(ahead.waiting).toBe(1_000);
  stop.abort();
  begin("b.jpg");
  expect(ahead.waiting).toBe(1_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(made.length).toBeLessThan(10);
});
