import fc from "fast-check";
import { expect, test } from "vitest";
import { isKey, toKey } from "../../../../../src/core/object.ts";
import { readInstruction, splitStyle } from "../../../../../src/serve/http/request/object-name.ts";
import { tokenFromQuery } from "../../../../../src/serve/sign/token.ts";
import { anyText } from "../../../../helpers/texts.ts";

const same = (query: string): [string, string] => [query, query];

test.each([
  ["imageView2/2/w/200/h/200", "imageView2/2/w/200/h/200"],
  ["imageMogr2/thumbnail/!50p", "imageMogr2/thumbnail/!50p"],
  ["watermark/2/text/5paH5a2X", "watermark/2/text/5paH5a2X"],
  ["watermark/1/image/aHR0cDovL2E=", "watermark/1/image/aHR0cDovL2E="],
  ["imageInfo", "imageInfo"],
  ["exif", "exif"],
  ["imageAve", "imageAve"],
  ["imageView2", "imageView2"],
  ["imageView2/2/w/200|watermark/2/text/5paH", "imageView2/2/w/200|watermark/2/text/5paH"],
  ["imageInfo|exif", "imageInfo|exif"],
  ["imageView2%2F2%2Fw%2F200%7Cexif", "imageView2/2/w/200|exif"],
  ["%69mageInfo", "imageInfo"],
  ["imageMogr2/thumbnail/%2150p", "imageMogr2/thumbnail/!50p"],
  ["imageMogr2/thumbnail/200x%252F", "imageMogr2/thumbnail/200x%2F"],
  ["imageMogr2/color/a+b", "imageMogr2/color/a+b"],
  ["x=1&imageInfo", "imageInfo"],
  ["imageInfo&x=1", "imageInfo"],
  ["&&exif&", "exif"],
  ["imageView2/2/w/%zz", "imageView2/2/w/%zz"],
  ["imageInfo=", "imageInfo="],
  ["exif=", "exif="],
  ["|imageMogr2/auto-orient", "|imageMogr2/auto-orient"],
  ["%7CimageMogr2/auto-orient", "|imageMogr2/auto-orient"],
  ["v=1&imageMogr2/auto-orient&e=1&token=x", "imageMogr2/auto-orient"],
  // Not known in every era, and refused there.
  ["imageview2/2/w/200", "imageview2/2/w/200"],
  ["IMAGEINFO", "IMAGEINFO"],
  ["imageView2format/webp", "imageView2format/webp"],
  ["imageView/2/w/9", "imageView/2/w/9"],
  ["imageView3/2", "imageView3/2"],
  ["imageMogr/v2/auto-orient", "imageMogr/v2/auto-orient"],
  ["imageInfos", "imageInfos"],
  ["exif=1", "exif=1"],
  ["watermark/3/text/eA", "watermark/3/text/eA"],
  ...["imageslim", "imageSlim", "roundPic/radius/9", "animate", "stitch", "qrcode", "saveas/x", "facecrop2"].map(same),
  ...["sequickimage", "nrop", "qpulp", "qterror", "qpolitician", "vframe/jpg", "vsample", "avthumb/mp4"].map(same),
  ...["avinfo", "ci-process=qrcode", "ci-process=ImageSlim"].map(same),
])("readInstruction(%j) is processing: %j", (query, text) => {
  expect(readInstruction(query)).toMatchObject({ text });
});

test.each([
  "a=1",
  "v",
  "=",
  "&",
  "x=imageView2/2/w/200",
  "watermark=1&ww=9&wpos=northwest",
  "crop=1&w=9",
  "exifs=1",
  "imageViewer=1",
  "animated=1",
  "ci-process=originImage",
  "aexif",
  "%zz",
  "%ffexif",
  "%2569mageInfo",
  "?imageInfo",
  "",
])("readInstruction(%j) finds none, so the original is served", (query) => {
  expect(readInstruction(query)).toEqual({ text: undefined, raw: undefined });
});

test.each([
  ["sign=abc%3D", undefined],
  ["sign=abc%3D&imageInfo", "imageInfo"],
  ["imageInfo&sign=abc%3D", "imageInfo"],
  ["a=1&sign=abc%3D", undefined],
])("readInstruction() of %j without its token is %j", (query, instruction) => {
  expect(readInstruction(tokenFromQuery(query).rest).text).toBe(instruction);
});

test("readInstruction() accepts any text", () => {
  const piece = fc.constantFrom("imageView2", "exif", "/", "|", "&", "=", "%", "%2F", "%ff", "%E5%9B", "sign=", "a");
  const query = fc.oneof(
    anyText(),
    fc.array(piece).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(query, (text) => {
      const { raw } = readInstruction(text);
      if (raw !== undefined) expect(text.split("&")).toContain(raw);
    }),
    { numRuns: 1_000 },
  );
});

test.each<[string, string[], { base: string; style: string } | undefined]>([
  ["a.jpg!small", ["!"], { base: "a.jpg", style: "small" }],
  ["a/b.jpg/160x160.jpeg", ["/"], { base: "a/b.jpg", style: "160x160.jpeg" }],
  ["a!b!c", ["!"], { base: "a!b", style: "c" }],
  ["a-b_c!d", ["-", "_", "!"], { base: "a-b_c", style: "d" }],
  ["a!b_c-d", ["-", "_", "!"], { base: "a!b_c", style: "d" }],
  ["a!b-c", ["!"], { base: "a", style: "b-c" }],
  ["图片.jpg!小图", ["!"], { base: "图片.jpg", style: "小图" }],
  ["a!!small", ["!"], { base: "a!", style: "small" }],
  ["a.jpg!a=1", ["!"], { base: "a.jpg", style: "a=1" }],
  ["a.jpg!small", [], undefined],
  ["a.jpg!small", ["-", "/"], undefined],
  ["a.jpg!", ["!"], undefined],
  ["!small", ["!"], undefined],
  ["a.jpg", ["!"], undefined],
  ["..!small", ["!"], undefined],
  ["a/..!small", ["!"], undefined],
])("splitStyle(%j, %j) is %j", (key, separators, split) => {
  expect(splitStyle(toKey(key), separators)).toEqual(split);
});

test("splitStyle() returns a valid base and a style without separators, which together are the key", () => {
  const key = fc.array(fc.constantFrom("a", "!", "-", "_", "/", ".", "图", "😀"), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(key, fc.subarray(["!", "-", "_", "/"]), (parts, separators) => {
      const name = parts.join("");
      fc.pre(isKey(name));
      const split = splitStyle(toKey(name), separators);
      if (split === undefined) return;
      const { base, style } = split;
      expect(isKey(base)).toBe(true);
      expect(separators.some((separator) => style.includes(separator))).toBe(false);
      expect(separators.map((separator) => `${base}${separator}${style}`)).toContain(name);
    }),
    { numRuns: 1_000 },
  );
});
