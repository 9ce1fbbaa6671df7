// The console's words: both languages have the same values in each text, and no text is left over.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_CODES, errorRow } from "../../src/core/errors.ts";
import { failuresZh } from "../../src/operate/console/text/failures.ts";
import { COMMON } from "../../src/operate/console/text/words.ts";
import { judge, RULES, type Series } from "../../src/operate/overview/attention.ts";
import { attentionZh } from "../../src/operate/overview/words.ts";

type Texts = Readonly<Record<string, readonly [en: string, zh: string]>>;
type Shower = { readonly own: Texts };
type Words = { readonly t?: Shower; readonly trialTexts?: (language: "en") => Shower };

/** Commands and calls of the REST API fail so, downloads and origins never. */
const OTHERS = new Set(["settings_invalid", "data_locked", "sign_not_one_time"]);
const isOfRest = ({ status, errNo, rest }: ReturnType<typeof errorRow>) => status === 400 && errNo === rest;
const ROOM = new URL("../../src/operate/", import.meta.url);
const filesIn = (room: string, pattern: RegExp) =>
  readdirSync(new URL(room, ROOM), { recursive: true, encoding: "utf8" })
    .map((path) => `${room}${path}`)
    .filter((path) => pattern.test(path));

const features = await Promise.all(
  filesIn("", /^[^/]+\/words\.ts$/).map(async (path) => {
    const { t, trialTexts } = (await import(new URL(path, ROOM).href)) as Words;
    return { room: path.replace("words.ts", ""), texts: (t ?? trialTexts?.("en"))?.own ?? {} };
  }),
);

const valuesIn = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("a text has the same values in both languages", () => {
  const texts = [COMMON, ...features.map((feature) => feature.texts)].flatMap((each) =>
    Object.entries<Texts[string]>(each),
  );
  expect(texts.length).toBeGreaterThan(600);
  expect(texts.filter(([, [en, zh]]) => String(valuesIn(en)) !== String(valuesIn(zh)))).toEqual([]);
  expect(texts.filter(([, pair]) => pair.includes(""))).toEqual([]);
});

test("Chinese has words for each failure of a download", () => {
  const codes = ERROR_CODES.filter((code) => !isOfRest(errorRow(code)) && !OTHERS.has(code));
  expect(codes.filter((code) => failuresZh[code] === undefined)).toEqual([]);
  expect(Object.keys(failuresZh).filter((code) => !(codes as readonly string[]).includes(code))).toEqual([]);
});

test.each([{ room: "", texts: COMMON as Texts }, ...features])(
  "every text of /$room is shown there",
  ({ room, texts }) => {
    const sources = filesIn(room, /\.tsx?$/)
      .filter((path) => !/^console\/text\/(?!format)|words\.ts$/.test(path))
      .map((path) => readFileSync(new URL(path, ROOM), "utf8"))
      .join("\n");
    expect(Object.keys(texts).filter((name) => !sources.includes(`"${name}"`))).toEqual([]);
  },
);

test("no feature has a text of its own under the name of a common one", () => {
  expect(features.flatMap(({ texts }) => Object.keys(texts)).filter((name) => name in COMMON)).toEqual([]);
});

test("every check of the doctor has Chinese words", () => {
  const words = readFileSync(new URL("doctor/words.ts", ROOM), "utf8");
  const doctor = new URL("../../src/operate/doctor/", import.meta.url);
  const own = readdirSync(doctor).filter((name) => name !== "words.ts");
  const sources = own.map((name) => readFileSync(new URL(name, doctor), "utf8"));
  const found = sources.join("\n").matchAll(/(?:say\(|\bid: )"([a-z-]+)"|^ {2}([a-z-]+)\(replies/gm);
  const ids = [...found].map(([, said, summarized]) => said ?? summarized);
  expect(ids.length).toBeGreaterThan(20);
  expect(ids.filter((id) => !words.includes(`"${id}.`))).toEqual([]);
});

/** Every rule finds something in it. */
const everything: Series = {
  now: (name, labels) => {
    if (name === "disk_free_bytes") return 1;
    if (name === "disk_min_free_bytes") return 2;
    if (name === "cluster_attached") return 0;
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
