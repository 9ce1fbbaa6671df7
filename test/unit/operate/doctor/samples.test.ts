import { expect, test } from "vitest";
import { readSample } from "../../../../src/operate/doctor/samples.ts";

const SITE = "http://site.example/base";

test.each([
  ["a.jpg", "a.jpg", ""],
  ["/图%20片/1.jpg", "图 片/1.jpg", ""],
  ["100%.jpg", "100%.jpg", ""],
  ["HTTP://site.example/base/a.jpg?w=1#top", "a.jpg", "w=1"],
])("readSample(%s) is the key %s with the query %j", (text, path, query) => {
  expect(readSample(text, SITE)).toMatchObject({ path, query });
});

test.each([
  ["%B7%E7%BE%B0.jpg", /not UTF-8, but probably GBK.*Rename the files/],
  ["a/../b.jpg", /not the path of an image/],
  ["http://site.example/other/a.jpg", /not below http:\/\/site.example\/base\//],
])("readSample() refuses %s", (text, why) => {
  expect(() => readSample(text, SITE)).toThrow(why);
});
