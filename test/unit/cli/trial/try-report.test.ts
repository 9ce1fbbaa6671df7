import { expect, test } from "vitest";
import { describeTrial, type TrialReport } from "../../../../src/cli/trial/try-report.ts";

const MISS = {
  status: 200,
  isWhole: true,
  bytes: 1_234_567,
  milliseconds: 81.26,
  cacheStatus: "huiyuan; fwd=uri-miss",
};
const HIT = {
  status: 200,
  isWhole: true,
  bytes: 1_234_567,
  milliseconds: 0.84,
  cacheStatus: "huiyuan; hit; detail=memory",
};
const SAMPLE: TrialReport = {
  originUrl: "http://127.0.0.1:4000",
  trouble: undefined,
  galleryUrl: "http://127.0.0.1:4000/",
  mirrorUrl: "http://localhost:8080/images/a.jpg",
  signedUrl: "http://members-10001234.localhost:8080/images/a.jpg?sign=abc%3D",
  adminUrl: "http://127.0.0.1:8081/",
  replacedPorts: [],
  requests: { first: MISS, second: HIT },
};
const OWN: TrialReport = { ...SAMPLE, originUrl: "https://your.site", galleryUrl: undefined };
const UNKNOWN: TrialReport = {
  ...OWN,
  mirrorUrl: "http://localhost:8080/<path of an image>",
  signedUrl: "http://members-10001234.localhost:8080/<path of an image>?sign=abc%3D",
  requests: undefined,
};

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
    /bucket \(memory\) +0\.8 ms +1,234,567 bytes +200 +Cache-Status: huiyuan; hit; detail=memory$/,
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

test("describeTrial() without a known picture shows what to fill in, and asks for nothing that is an error", () => {
  const text = describeTrial(UNKNOWN, false);
  expect(text).toMatch(/^ {2}Mirror URL {3}http:\/\/localhost:8080\/<path of an image>$/m);
  expect(text).toMatch(/^ {2}Signed URL {3}\S+\/<path of an image>\?sign=abc%3D$/m);
  expect(text).toMatch(/no picture was found on the home page/);
  expect(text).toMatch(/this one fits every image/);
  expect(text).not.toMatch(/1st|undefined|curl -I '[^<]*\/'/);
});

test("describeTrial() warns of an origin that does not answer, instead of cheering", () => {
  const text = describeTrial({ ...UNKNOWN, trouble: "the name your.site does not exist" }, false);
  expect(text).toMatch(/is running, but its origin https:\/\/your\.site does not answer$/m);
  expect(text).toMatch(/^ {2}Warning {6}the name your\.site does not exist$/m);
  expect(text).not.toMatch(/in front of|no picture was found/);
});

test("describeTrial() says which port it took instead of one that is taken", () => {
  const text = describeTrial({ ...SAMPLE, replacedPorts: [{ wanted: 8080, used: 41234 }] }, false);
  expect(text).toMatch(/port 8080 is taken, using 41234$/m);
});

test.each([
  ["huiyuan; hit; detail=memory", "bucket (memory)"],
  ["huiyuan; hit; detail=bucket", "bucket (disk)"],
  ["huiyuan; hit; detail=spool", "being stored"],
  ["huiyuan; fwd=uri-miss; stored", "origin"],
  ["huiyuan; fwd=uri-miss; collapsed", "origin"],
  ["huiyuan; detail=error", "nowhere"],
])("describeTrial() says of %s that it came from: %s", (cacheStatus, tier) => {
  const text = describeTrial({ ...SAMPLE, requests: { first: MISS, second: { ...HIT, cacheStatus } } }, false);
  expect(text).toContain(`  2nd  ${tier} `);
});

test("describeTrial() says so when the first answer was broken off", () => {
  const broken = { ...MISS, isWhole: false };
  expect(describeTrial({ ...OWN, requests: { first: broken, second: broken } }, false)).toMatch(/broke its answer off/);
});

test("describeTrial() writes escape sequences to a terminal alone", () => {
  const plain = describeTrial(SAMPLE, false);
  const shown = describeTrial(SAMPLE, true);
  expect(plain.includes("\u001b")).toBe(false);
  expect(shown.includes("\u001b[1m")).toBe(true);
  expect(shown.replaceAll("\u001b[1m", "").replaceAll("\u001b[22m", "")).toBe(plain);
});
