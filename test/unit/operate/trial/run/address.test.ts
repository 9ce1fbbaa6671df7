import { expect, test } from "vitest";
import { readAddress } from "../../../../../src/operate/trial/run/address.ts";
import { trialTexts } from "../../../../../src/operate/trial/words.ts";

const SITE = "http://127.0.0.1:4000";

test.each([
  ["https://your.site", "https://your.site", undefined],
  [" your.site/ ", "https://your.site", undefined],
  ["localhost:3000", "http://localhost:3000", undefined],
  ["[::1]:3000", "http://[::1]:3000", undefined],
  ["https://your.site/shop/", "https://your.site/shop", undefined],
  ["https://your.site/shop/index.html?from=mail#top", "https://your.site/shop", undefined],
  ["https://your.site/a/%E5%9B%BE.JPG", "https://your.site", "a/图.JPG"],
  ["/pics/a.jpg", SITE, "pics/a.jpg"],
  [`${SITE}/pics/a.jpg`, SITE, "pics/a.jpg"],
  [`${SITE}1/pics/a.jpg`, "http://127.0.0.1:40001", "pics/a.jpg"],
])("readAddress() reads %s", (text, url, picture) => {
  expect(readAddress(text, SITE)).toEqual({ url, picture });
});

test("readAddress() takes a picture below the path of the present site for one of it", () => {
  const site = "https://your.site/shop";
  expect(readAddress("https://your.site/shop/a.jpg", site)).toEqual({ url: site, picture: "a.jpg" });
});

test.each([
  ["", /Type the address/],
  ["ftp://your.site", /not the address of a web site/],
  ["https://me:secret@your.site", /not the address of a web site/],
  ["https://", /not the address of a web site/],
  ["/a.jpg?imageView2/2/w/80", /not the address of a picture/],
  ["/%b2%e2.jpg", /not the address of a picture/],
  ["/\u0000.jpg", /not the address of a picture/],
])("readAddress() refuses %j in words", (text, said) => {
  const address = readAddress(text, SITE);
  expect("fault" in address && address.fault(trialTexts("en"))).toMatch(said);
});
