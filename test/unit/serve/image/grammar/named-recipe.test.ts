import { expect, test } from "vitest";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import { nameRecipe } from "../../../../../src/serve/image/grammar/named-recipe.ts";
import { b64 } from "../../../../helpers/rendering.ts";

const named = (text: string) => nameRecipe(parseInstruction(text, { era: 2015 }));

test("nameRecipe() gives equal names to equal meanings and different names to different ones", () => {
  const same = ["imageView2/2/w/9/h/8", "imageView2/2/h/8/w/9"].map((text) => named(text).name);
  expect(new Set(same).size).toBe(1);
  expect(same[0]).toMatch(/^[0-9a-f]{32}$/);
  const texts = ["imageView2/2/w/9", "imageView2/3/w/9", "imageView2/2/w/9/q/80", "imageView2/2/w/9|imageInfo", "exif"];
  expect(new Set(texts.map((text) => named(text).name)).size).toBe(texts.length);
});

test("nameRecipe() tells the instructions of watermarks apart", () => {
  const mark = (inner: string) => `watermark/1/image/${b64(`http://h/a.png?${inner}`)}`;
  const names = ["imageMogr2/blur/9x9", "imageMogr2/sharpen/90", "imageView2/2/w/9"].map(
    (inner) => nameRecipe(parseInstruction(mark(inner), { era: "qiniu" })).name,
  );
  expect(new Set(names).size).toBe(3);
});

test("nameRecipe() lists each watermark once", () => {
  const watermark = `watermark/1/image/${b64("http://h/a.png")}`;
  expect(named(`${watermark}|${watermark}`).watermarks).toEqual(["http://h/a.png"]);
  expect(named("imageView2/2/w/9").watermarks).toEqual([]);
});

test("nameRecipe() lists a watermark with two tokens as two URLs to authorize and one image", () => {
  const watermark = (token: string) => `watermark/1/image/${b64(`http://h/a.png?sign=${token}`)}`;
  const both = named(`${watermark("one")}|${watermark("two")}`);
  expect(both.watermarks).toEqual(["http://h/a.png"]);
  expect(both.signedWatermarks).toEqual(["http://h/a.png?sign=one", "http://h/a.png?sign=two"]);
  expect(named(watermark("one")).name).toBe(named(watermark("two")).name);
});

test("nameRecipe() lists a watermark with two spellings as two URLs to authorize and one image", () => {
  const watermark = (url: string) => `watermark/1/image/${b64(url)}`;
  const both = named(`${watermark("http://h/a.png")}|${watermark("https://H:443/a.png")}`);
  expect(both.watermarks).toEqual(["http://h/a.png"]);
  expect(both.signedWatermarks).toEqual(["http://h/a.png", "https://H:443/a.png"]);
});

test("negotiated() has three outcomes, each the same recipe every time", () => {
  const auto = named("imageView2/2/w/9/format/auto");
  const outcomes = (["autoAvif", "autoWebp", "autoPlain"] as const).map((format) => auto.negotiated?.(format));
  expect(new Set(outcomes.map((outcome) => outcome?.name)).size).toBe(3);
  expect(auto.negotiated?.("autoWebp")).toBe(outcomes[1]);
  expect(outcomes.map((outcome) => outcome?.negotiated)).toEqual([undefined, undefined, undefined]);
  expect(named("imageView2/2/w/9/format/webp").negotiated).toBeUndefined();
});
