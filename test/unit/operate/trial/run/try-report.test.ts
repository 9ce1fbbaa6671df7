import { expect, test } from "vitest";
import { describeTrial, type TrialReport } from "../../../../../src/operate/trial/run/try-report.ts";

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
  isSample: true,
  galleryUrl: "http://127.0.0.1:8081/trial",
  mirrorUrl: "http://localhost:8080/images/a.jpg",
  signedUrl: "http://members-10001234.localhost:8080/images/a.jpg?sign=abc%3D",
  adminUrl: "http://127.0.0.1:8081/",
  replacedPorts: [],
  requests: { first: MISS, second: HIT },
};
const OWN: TrialReport = { ...SAMPLE, originUrl: "https://your.site", isSample: false };
const UNKNOWN: TrialReport = {
  ...OWN,
  mirrorUrl: "http://localhost:8080/<path of an image>",
  signedUrl: "http://members-10001234.localhost:8080/<path of an image>?sign=abc%3D",
  requests: undefined,
};

test("describeTrial() introduces every address of the sample site once", () => {
  const text = describeTrial(SAMPLE, false);
  expect(text).toMatch(/^ {2}Open {9}http:\/\/127\.0\.0\.1:8081\/trial$/m);
  expect(text).toMatch(/^ {2}Mirror URL {3}http:\/\/localhost:8080\/images\/a\.jpg$/m);
  expect(text).toMatch(/^ {2}Signed URL {3}http:\/\/members-10001234\.localhost:8080\/images\/a\.jpg\?sign=abc%3D$/m);
  expect(text).toMatch(/^ {2}Admin {8}http:\/\/127\.0\.0\.1:8081\/ /m);
  expect(text.endsWith("Ctrl-C stops it and removes everything.\n\n")).toBe(true);
});

test("describeTrial() says that the sample site waits, and how a mirror stays", () => {
  expect(describeTrial(SAMPLE, false)).toContain(", which waits 60 ms before each answer, as a distant site would\n");
  expect(describeTrial(OWN, false)).not.toContain("waits");
  for (const report of [SAMPLE, OWN, UNKNOWN]) expect(describeTrial(report, false)).toContain("huiyuan serve --new");
});

test("describeTrial() prints source, time and size of both answers", () => {
  const lines = describeTrial(SAMPLE, false).split("\n");
  expect(lines.find((line) => line.startsWith("  1st"))).toMatch(
    /origin +81\.3 ms +1,234,567 bytes +200 +Cache-Status: huiyuan; fwd=uri-miss$/,
  );
  expect(lines.find((line) => line.startsWith("  2nd"))).toMatch(
    /bucket \(memory\) +0\.8 ms +1,234,567 bytes +200 +Cache-Status: huiyuan; hit; detail=memory$/,
  );
});

test("describeTrial() reports that the origin sent no image", () => {
  const failed = { ...MISS, status: 424, bytes: 90, cacheStatus: "huiyuan; detail=error" };
  const text = describeTrial({ ...OWN, requests: { first: failed, second: failed } }, false);
  expect(text).toMatch(/the origin sent no image/);
  expect(text).not.toMatch(/warning|nothing more is fetched/);
  expect(text).toMatch(/ 424 /);
  expect(describeTrial(OWN, false)).not.toMatch(/the origin sent no image/);
  expect(describeTrial(OWN, false)).toMatch(/nothing more is fetched/);
});

test("describeTrial() names the page without figures, if the first picture did not arrive in time", () => {
  const text = describeTrial({ ...OWN, requests: undefined }, false);
  expect(text).toMatch(/in a browser: your site beside the mirror/);
  expect(text).not.toMatch(/1st|nothing more is fetched/);
});

test("describeTrial() prints commands that work unchanged", () => {
  const commands = describeTrial(SAMPLE, false)
    .split("\n")
    .filter((line) => line.startsWith("  curl"));
  expect(commands.map((line) => line.trim().split(/\s{2,}/)[0])).toEqual([
    "curl -I 'http://localhost:8080/images/a.jpg'",
    "curl -I 'http://members-10001234.localhost:8080/images/a.jpg'",
    "curl http://127.0.0.1:8081/metrics",
  ]);
});

test("describeTrial() names the user's site, and its page without a switch", () => {
  const text = describeTrial(OWN, false);
  expect(text).toMatch(/^ {2}Open {9}http:\/\/127\.0\.0\.1:8081\/trial$/m);
  expect(text).toMatch(/a mirror in front of https:\/\/your\.site$/m);
  expect(text).not.toMatch(/Stop the origin|npm start/);
});

test("describeTrial() shows a placeholder without a known picture, and no failing command", () => {
  const text = describeTrial(UNKNOWN, false);
  expect(text).toMatch(/^ {2}Mirror URL {3}http:\/\/localhost:8080\/<path of an image>$/m);
  expect(text).toMatch(/^ {2}Signed URL {3}\S+\/<path of an image>\?sign=abc%3D$/m);
  expect(text).toMatch(/no picture was found on the home page/);
  expect(text).toMatch(/this token is for every image/);
  expect(text).not.toMatch(/1st|undefined|curl -I '[^<]*\/'/);
});

test("describeTrial() warns of an origin that does not answer", () => {
  const text = describeTrial({ ...UNKNOWN, trouble: "the name your.site does not exist" }, false);
  expect(text).toMatch(/is running, but its origin https:\/\/your\.site does not answer$/m);
  expect(text).toMatch(/^ {2}Warning {6}the name your\.site does not exist$/m);
  expect(text).not.toMatch(/in front of|no picture was found/);
});

test("describeTrial() names the port that replaces a used one", () => {
  const text = describeTrial({ ...SAMPLE, replacedPorts: [{ wanted: 8080, used: 41234 }] }, false);
  expect(text).toMatch(/port 8080 is in use, using 41234$/m);
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

test("describeTrial() reports a truncated first answer", () => {
  const broken = { ...MISS, isWhole: false };
  expect(describeTrial({ ...OWN, requests: { first: broken, second: broken } }, false)).toMatch(
    /closed the connection early/,
  );
});

test("describeTrial() writes escape sequences only to a terminal", () => {
  const plain = describeTrial(SAMPLE, false);
  const shown = describeTrial(SAMPLE, true);
  expect(plain.includes("\u001b")).toBe(false);
  expect(shown.includes("\u001b[1m")).toBe(true);
  expect(shown.replaceAll("\u001b[1m", "").replaceAll("\u001b[22m", "")).toBe(plain);
});
