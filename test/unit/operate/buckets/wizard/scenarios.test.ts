// The wizard's answers become settings that `huiyuan check` takes, with the meaning of the four scenario files.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { testUrl } from "../../../../../src/operate/buckets/page/tree.ts";
import {
  type Answers,
  bareHost,
  editsOfAnswers,
  NO_ANSWERS,
  SCENARIOS,
  withScheme,
} from "../../../../../src/operate/buckets/wizard/scenarios.ts";
import { editText } from "../../../../../src/settings/edit/edit-text.ts";
import { parseSettings } from "../../../../../src/settings/load.ts";

const EMPTY = `server: { publicScheme: https, baseDomain: image.example.com }
projects:
  - appid: "10001234"
    keys:
      - { secretId: AKIDEXAMPLE, secretKey: example-secret }
`;

const SITE = { url: "http://src-img.example.com", hostHeader: "img.example.com", usesQuery: true };
const ANSWERS: Readonly<Record<number, Partial<Answers>>> = {
  1: { vendor: "qiniu", url: "http://qiniu-origin.example.com", accessKey: "QINIU_ACCESS_KEY", secretKey: "q" },
  2: SITE,
  3: {
    ...{ vendor: "oss", region: "cn-hangzhou", remoteBucket: "example-pictures" },
    endpoint: "https://s3.oss-cn-hangzhou.aliyuncs.com",
    ...{ accessKey: "OSS_ACCESS_KEY", secretKey: "o" },
  },
  4: { ...SITE, bucket: "old", uploadBucket: "new", uploadHost: "img2.example.com" },
};

function answersOf(scenario: (typeof SCENARIOS)[number], more: Partial<Answers> = {}): Answers {
  return { ...NO_ANSWERS, scenario, appid: "10001234", host: "img.example.com", ...ANSWERS[scenario], ...more };
}

const settingsOf = (text: string) =>
  parseSettings(text, {
    env: { HUIYUAN_SECRET_KEY: "k".repeat(20), QINIU_SECRET_KEY: "q", OSS_SECRET_KEY: "o" },
    readFile: () => "",
    file: "/etc/huiyuan.yaml",
  });

test.each(SCENARIOS)("scenario %i has the settings of its example", (scenario) => {
  const made = settingsOf(editText(EMPTY, editsOfAnswers(parse(EMPTY), answersOf(scenario))).text);
  const example = settingsOf(
    readFileSync(new URL(`../../../../../config/scenario-${scenario}.yaml`, import.meta.url), "utf8"),
  );
  const seen = (settings: typeof made) =>
    settings.projects[0]?.buckets.map(({ name, access, domains }) => ({
      ...{ name, access },
      domains: domains
        .filter(({ host }) => host.startsWith("img"))
        .map(({ host, mirror }) => ({ host, type: mirror?.type, origins: mirror?.origins })),
    }));
  expect(seen(made)).toEqual(seen(example));
});

test("a site without sizes by query keeps the originals, and without a host the default domain is mirrored", () => {
  const answers = answersOf(2, { usesQuery: false, host: "" });
  const [edit] = editsOfAnswers(parse(EMPTY), answers);
  expect(edit?.path).toEqual(["projects", 0, "buckets", 0]);
  expect(edit?.value).toMatchObject({
    domains: [{ host: "photos-10001234.image.example.com", mirror: { type: "originals" } }],
  });
});

test("a further bucket comes after the others of its project", () => {
  const tree = { projects: [{ appid: "1" }, { appid: "10001234", buckets: [{ name: "a" }, { name: "b" }] }] };
  const paths = editsOfAnswers(tree, answersOf(4)).map(({ path }) => path);
  expect(paths).toEqual([
    ["projects", 1, "buckets", 2],
    ["projects", 1, "buckets", 3],
  ]);
});

test("the trial URL has the default domain, and the port that visitors see", () => {
  const place = { appid: "10001234", name: "photos" };
  expect(testUrl({}, place, "a b/中.jpg")).toBe("http://photos-10001234.localhost:8080/a%20b/%E4%B8%AD.jpg");
  expect(testUrl(parse(EMPTY), place, "a.jpg?w=2")).toBe("https://photos-10001234.image.example.com/a.jpg?w=2");
  expect(testUrl({ server: { port: 90, publicPort: 91 } }, place, "a")).toBe("http://photos-10001234.localhost:91/a");
});

test("the public domain of a cloud is a site", () => {
  const answers = answersOf(1, { vendor: "domain", url: "https://pictures.example.com", accessKey: "" });
  expect(editsOfAnswers(parse(EMPTY), answers)[0]?.value).toMatchObject({
    domains: [{ mirror: { origins: [{ type: "site", url: "https://pictures.example.com" }] } }],
  });
});

test.each([
  ["img.example.com/base", "https://img.example.com/base"],
  ["10.0.0.5", "http://10.0.0.5"],
  ["[::1]:80", "http://[::1]:80"],
  ["localhost", "http://localhost"],
  ["minio.example.com:9000", "http://minio.example.com:9000"],
  ["http://img.example.com", "http://img.example.com"],
  ["", ""],
])("withScheme(%j) is %j", (text, url) => {
  expect(withScheme(text)).toBe(url);
});

test.each([
  ["https://img.example.com/", "img.example.com"],
  [" //img.example.com ", "img.example.com"],
  ["img.example.com", "img.example.com"],
])("bareHost(%j) is %j", (text, host) => {
  expect(bareHost(text)).toBe(host);
});
