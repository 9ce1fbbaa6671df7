// The code blocks of the documentation: each shell block runs in test/e2e/documents.lab.test.ts or says why it cannot.
// Each YAML block is valid settings, or says that it is something else.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { blocksIn, blocksOf, isShell, PAGES } from "../helpers/page-blocks.ts";
import { isPlaced, settingsFaults } from "../helpers/settings-blocks.ts";

const isUnmarked = (block: ReturnType<typeof blocksOf>[number]) =>
  isShell(block)
    ? block.run === undefined && block.marks.skip === undefined
    : block.language === "yaml" && !isPlaced(block);

describe("blocksIn()", () => {
  test("reads language, marks and text, and takes the indentation of a list away", () => {
    const page = [
      "- item",
      "  ```sh run background",
      "  one",
      "    two",
      "  ```",
      '```yaml file=a.yaml in=root skip="no why"',
      "```",
    ];
    expect(blocksIn("p.md", page.join("\n"))).toEqual([
      { page: "p.md", line: 2, language: "sh", run: "run background", marks: {}, text: "one\n  two\n" },
      { page: "p.md", line: 6, language: "yaml", marks: { file: "a.yaml", in: "root", skip: "no why" }, text: "" },
    ]);
  });

  test.each(["sh runs", "sh skp=later", "sh run now"])("refuses the mark of ```%s", (info) => {
    expect(() => blocksIn("p.md", `\`\`\`${info}\n\`\`\``)).toThrow("no test knows the mark");
  });
});

test.each([
  ["in=root", "server: { port: 80 }", 0],
  ["in=root", "server: { prot: 80 }", 1],
  ["in=bucket", "token: required", 0],
  ["in=domain", "host: a.example.com", 0],
  ["in=mirror", "negativeTtl: 5", 1],
  ["in=origin", '- { type: site, url: "https://a.example.com", headers: { Cookie: env:COOKIE } }', 0],
  ["in=nowhere", "a: 1", 1],
  ["", "projects: []", 1],
])("settingsFaults() of a block ```yaml %s with %s", (mark, text, count) => {
  const [block] = blocksIn("p.md", `\`\`\`yaml ${mark}\n${text}\n\`\`\``);
  expect(settingsFaults(block!)).toHaveLength(count);
});

describe.each(PAGES)("%s", (page) => {
  const blocks = blocksOf(page);

  test("marks every block of sh and yaml", () => {
    expect(blocks.filter(isUnmarked).map(({ line }) => `${page}:${line}`)).toEqual([]);
  });

  test("has YAML that is valid where it says so", () => {
    const placed = blocks.filter(({ language }) => language === "yaml").filter(isPlaced);
    for (const { text } of placed) parseYaml(text);
    const settings = placed.filter(({ marks }) => marks.kind === undefined);
    const faults = settings.flatMap((block) => settingsFaults(block).map((fault) => `${page}:${block.line}: ${fault}`));
    expect(faults).toEqual([]);
  });
});

test("a tutorial that may run beside a live server has ports of its own, so that no command reaches that server", () => {
  const isTutorial = (page: string) =>
    /^docs\/(zh\/)?(guides\/(?!moving)|operate\/|troubleshooting|.*security)/.test(page);
  const serves = (page: string) => blocksOf(page).some(({ run, text }) => run && /huiyuan serve/.test(text));
  const run = PAGES.filter((page) => isTutorial(page) && serves(page))
    .flatMap(blocksOf)
    .filter(({ run, marks }) => run !== undefined || (marks.file !== undefined && marks.kind === undefined));
  expect(run.length).toBeGreaterThan(40);
  expect(run.filter(({ text }) => /\b808[01]\b/.test(text)).map(({ page, line }) => `${page}:${line}`)).toEqual([]);
});

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");

test.each([
  ["README.md", "**It costs**"],
  ["README.zh-CN.md", "**开销**"],
])("the figures of %s are those of the performance page", (page, begin) => {
  const text = read(page);
  const [cost = ""] = text.slice(text.indexOf(begin)).split("\n\n");
  const said = /(\d+) MB.*Node 24/s
    .exec(cost)
    ?.slice(1)
    .concat(cost.split("Node 24")[1]?.match(/\d\.\d/g) ?? []);
  const performance = read("docs/internals/performance.md");
  const rest = /At rest Node 24 takes (\d+) MB/.exec(performance)?.[1];
  const ratioOf = (row: RegExp) =>
    row
      .exec(performance)
      ?.slice(1)
      .map((ratio) => Number(ratio).toFixed(1)) ?? [];
  const [equal, ...ratios] = [
    ...ratioOf(/^\| signed hit from memory, 20 KB \|[^|]*\| ([\d.]+) /m),
    ...ratioOf(/^\| signed hit from memory, 100 KB \|[^|]*\| ([\d.]+) /m),
    ...ratioOf(/^\| hit from disk, 100 KB,[^|]*\|[^|]*\| ([\d.]+) /m),
    ...ratioOf(/^\| the same miss \|[^|]*\| [\d.]+ \(([\d.]+) to ([\d.]+) /m),
  ];
  expect([equal, said]).toEqual(["1.0", [rest, ...ratios]]);
});

test("the performance page names the file of each figure", () => {
  const rows = read("docs/internals/performance.md").split("\n## ")[1]?.split("\n") ?? [];
  const figures = rows.filter((line) => /^\| (?!request|memory|---)/.test(line));
  expect(figures.length).toBeGreaterThan(14);
  for (const row of figures) {
    const files = [...(row.split("|").at(-2) ?? "").matchAll(/`([\w/-]+\.ts)`/g)].map(([, file = ""]) => file);
    expect(files.length, row).toBeGreaterThan(0);
    for (const file of files) read(`test/bench/${file}`);
  }
});

test("skipped-blocks.md lists the blocks that no test runs, with their reasons", async () => {
  const rows = PAGES.flatMap(blocksOf)
    .filter(({ marks }) => marks.skip !== undefined)
    .map(
      ({ page, text, marks }) => `| ${page} | \`${text.split("\n", 1)[0]?.replaceAll("|", "\\|")}\` | ${marks.skip} |`,
    );
  const table = ["| page | first line | why it cannot run |", "| --- | --- | --- |", ...rows, ""].join("\n");
  await expect(table).toMatchFileSnapshot("skipped-blocks.md");
});
