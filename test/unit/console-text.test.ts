// The console's words: both languages have the same values in each text, and no text is left over.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_CODES, errorRow } from "../../src/core/errors.ts";
import { en } from "../../src/operate/console/text/en.ts";
import { failuresZh } from "../../src/operate/console/text/failures.ts";
import { attentionZh, zh } from "../../src/operate/console/text/zh.ts";
import { judge, RULES, type Series } from "../../src/operate/overview/attention.ts";

/** Commands and calls of the REST API fail so, downloads and origins never. */
const OTHERS = new Set(["settings_invalid", "data_locked", "sign_not_one_time"]);
const isOfRest = ({ status, errNo, rest }: ReturnType<typeof errorRow>) => status === 400 && errNo === rest;
const ROOM = new URL("../../src/operate/", import.meta.url);
const valuesIn = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("a text has the same values in both languages", () => {
  const pairs = Object.entries(en).map(([name, text]) => [name, valuesIn(text), valuesIn(zh[name as keyof typeof en])]);
  expect(pairs.length).toBeGreaterThan(100);
  expect(pairs.filter(([, one, other]) => String(one) !== String(other))).toEqual([]);
});

test("Chinese has words for each failure of a download", () => {
  const codes = ERROR_CODES.filter((code) => !isOfRest(errorRow(code)) && !OTHERS.has(code));
  expect(codes.filter((code) => failuresZh[code] === undefined)).toEqual([]);
  expect(Object.keys(failuresZh).filter((code) => !(codes as readonly string[]).includes(code))).toEqual([]);
});

test("every text is shown somewhere", () => {
  const sources = readdirSync(ROOM, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path) && !/^console\/text\/(?!format)|words\.ts$/.test(path))
    .map((path) => readFileSync(new URL(path, ROOM), "utf8"))
    .join("\n");
  expect(Object.keys(en).filter((name) => !sources.includes(`"${name}"`))).toEqual([]);
});

test("every check of the doctor has Chinese words", () => {
  const words = readFileSync(new URL("doctor/words.ts", ROOM), "utf8");
  const doctor = new URL("../../src/operate/doctor/", import.meta.url);
  const own = readdirSync(doctor).filter((name) => name !== "words.ts");
  const sources = own.map((name) => readFileSync(new URL(name, doctor), "utf8"));
  const ids = [...sources.join("\n").matchAll(/(?:say\(|\bid: |^ {2}\[)"([a-z-]+)"/gm)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(20);
  expect(ids.filter((id) => !words.includes(`"${id}.`))).toEqual([]);
});

/** Every rule finds something in it. */
const everything: Series = {
  now: (name, labels) => {
    if (name === "disk_free_bytes") return 1;
    if (name === "disk_min_free_bytes") return 2;
    return name === "backup_timestamp_seconds" && labels?.event === "succeeded" ? 1 : 1e10;
  },
  all: () => [{ labels: { bucket: "1/b" }, value: 1 }],
  increase: (name) => (name === "errors_total" ? 1e5 : 1e6),
  origins: [
    {
      ...{ name: "o", state: "open", stateMs: 1, running: 0, connections: 1, requestsPerSecond: 0, waiting: 0 },
      ...{ pausedMs: 0, condition: "paused", requests: 100, failed: 0, failures: [] },
      latency: { p50: 1, p90: 9_000, p99: 9_000, max: 9_000 },
    },
  ],
  time: 1e9,
};
const nearlyFull: Series = { ...everything, now: (name) => ({ disk_free_bytes: 3, disk_min_free_bytes: 2 })[name] };

test("Chinese has every judgement of the overview, with values that the server sends", () => {
  const found = [...judge(everything), ...judge(nearlyFull)];
  expect([...new Set(found.map(({ code }) => code))].sort()).toEqual(
    [...new Set(RULES.map(({ code }) => code))].sort(),
  );
  const lacking = found.flatMap(({ code, values = {} }) => {
    const text = attentionZh[code];
    if (text === undefined) return [code];
    return valuesIn(text).flatMap((name = "") => (name === "message" || name in values ? [] : [`${code} ${name}`]));
  });
  expect(lacking).toEqual([]);
  const others = Object.keys(attentionZh).filter((code) => !RULES.some((rule) => rule.code === code));
  const overview = readFileSync(new URL("../../src/operate/overview/overview.ts", import.meta.url), "utf8");
  expect(others.filter((code) => !overview.includes(`"${code}"`))).toEqual([]);
});
