import { expect, test } from "vitest";
import { describeTrial, type TrialReport } from "../../../src/cli/try-report.ts";

const MISS = { status: 200, bytes: 1_234_567, milliseconds: 81.26, cacheStatus: "huiyuan; fwd=uri-miss" };
const HIT = { status: 200, bytes: 1_234_567, milliseconds: 0.84, cacheStatus: "huiyuan; hit; detail=memory" };
const SAMPLE: TrialReport = {
  originUrl: "http://127.0.0.1:4000",
  galleryUrl: "http://127.0.0.1:4000/",
  mirrorUrl: "http://localhost:8080/images/a.jpg",
  signedUrl: "http://members-10001234.localhost:8080/images/a.jpg?sign=abc%3D",
  adminUrl: "http://127.0.0.1:8081/",
  requests: { first: MISS, second: HIT },
};
const OWN: TrialReport = { ...SAMPLE, originUrl: "https://your.site", galleryUrl: undefined };
const UNKNOWN: TrialReport = { ...OWN, mirrorUrl: "http://localhost:8080/", signedUrl: undefined, requests: undefined };

test("describeTrial() of the sample site names every address once where it is introduced", () => {
  const text = describeTrial(SAMPLE, false);
  expect(text).toMatch(/^ {2}Gallery {6}http:\/\/127\.0\.0\.1:4000\/$/m);
  expect(text).toMatch(/^ {2}Mirror URL {3}http:\/\/localhost:8080\/images\/a\.jpg$/m);
  expect(text).toMatch(/^ {2}Signed URL {3}http:\/\/members-10001234\.localhost:8080\/images\/a\.jpg\?sign=abc%3D$/m);
  expect(text).toMatch(/^ {2}Admin {8}http:\/\/127\.0\.0\.1:8081\/ /m);
  expect(text.endsWith("Ctrl-C stops it and removes everything.\n\n")).toBe(true);
});

test("describeTrial() says of both requests where they were answered, how fast and with how much", () => {
  const lines = describeTrial(SAMPLE, false).split("\n");
  expect(lines.find((line) => line.startsWith("  1st"))).toMatch(
    /origin +81\.3 ms +1,234,567 bytes +200 +Cache-Status: huiyuan; fwd=uri-miss$/,
  );
  expect(lines.find((line) => line.startsWith("  2nd"))).toMatch(
    /bucket +0\.8 ms +1,234,567 bytes +200 +Cache-Status: huiyuan; hit; detail=memory$/,
  );
});

test("describeTrial() says so when the origin gave no image", () => {
  const failed = { ...MISS, status: 424, bytes: 90, cacheStatus: "huiyuan; detail=error" };
  const text = describeTrial({ ...OWN, requests: { first: failed, second: failed } }, false);
  expect(text).toMatch(/the origin gave no image/);
  expect(text).toMatch(/ 424 /);
  expect(describeTrial(OWN, false)).not.toMatch(/the origin gave no image/);
});

test("describeTrial() offers commands that work as they stand", () => {
  const commands = describeTrial(SAMPLE, false)
    .split("\n")
    .filter((line) => line.startsWith("  curl"));
  expect(commands.map((line) => line.trim().split(/\s{2,}/)[0])).toEqual([
    "curl -I 'http://localhost:8080/images/a.jpg'",
    "curl -I 'http://members-10001234.localhost:8080/images/a.jpg'",
    "curl http://127.0.0.1:8081/metrics",
  ]);
});

test("describeTrial() of one's own site speaks of that site, and of no gallery", () => {
  const text = describeTrial(OWN, false);
  expect(text).toMatch(/a mirror in front of https:\/\/your\.site$/m);
  expect(text).not.toMatch(/Gallery|Stop the origin|npm start/);
});

test("describeTrial() without a known picture shows no requests and no token", () => {
  const text = describeTrial(UNKNOWN, false);
  expect(text).toMatch(/^ {2}Mirror URL {3}http:\/\/localhost:8080\/$/m);
  expect(text).not.toMatch(/Signed URL|token|1st|undefined/);
  expect(text).toMatch(/ask for any image of the site by its path/);
});

test("describeTrial() writes escape sequences to a terminal alone", () => {
  const plain = describeTrial(SAMPLE, false);
  const shown = describeTrial(SAMPLE, true);
  expect(plain.includes("\u001b")).toBe(false);
  expect(shown.includes("\u001b[1m")).toBe(true);
  expect(shown.replaceAll("\u001b[1m", "").replaceAll("\u001b[22m", "")).toBe(plain);
});
