// The documents: every link inside the repository has a target, also its heading, and the index names every page.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const inFolder = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md") && !path.includes("node_modules"))
    .map((path) => join(folder, path));
const PAGES = ["README.md", "README.zh-CN.md", "CHANGELOG.md", ...inFolder("docs")];

/** Anchors of headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  const text = readFileSync(join(ROOT, page), "utf8").replace(/^( *)```.*?^\1```/gms, "");
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

test.each(PAGES)("every link of %s has a target", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8").replace(/^( *)```.*?^\1```/gms, "");
  const links = [...text.matchAll(/\]\(([^()\s]+)\)|src(?:set)?="([^"]+)"/g)].map(
    ([, link, source]) => link ?? source ?? "",
  );
  const broken = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : relative(ROOT, join(ROOT, dirname(page), decodeURI(path)));
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && target.endsWith(".md") && !anchorsOf(target).includes(anchor);
  });
  expect(broken).toEqual([]);
});

/** Indexes of docs/ with the pages that each must name: two clicks from docs/README.md to anything. */
const INDEXES = [
  { index: "internals/decisions.md", pages: /^internals\/decisions\// },
  { index: "zh/README.md", pages: /^zh\/(?!README)/ },
  { index: "README.md", pages: /^/ },
];

test("an index names every page of docs/", () => {
  const isNamed = (path: string) => {
    const { index } = INDEXES.find(({ pages }) => pages.test(path)) ?? { index: "README.md" };
    return readFileSync(join(ROOT, "docs", index), "utf8").includes(`(${relative(dirname(index), path)}`);
  };
  const pages = inFolder("docs").map((path) => relative("docs", path));
  expect(pages.filter((path) => path !== "README.md" && !isNamed(path))).toEqual([]);
});

test.each(["docs/internals/architecture.md", "docs/internals/walks.md"])("%s names files that exist", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  const named = [...text.matchAll(/`((?:[\w-]+\/)+[\w-]*(?:\.ts)?)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(10);
  const isThere = (path: string) => [path, `src/${path}`].some((each) => existsSync(join(ROOT, each)));
  expect(named.filter((path) => !isThere(path))).toEqual([]);
});
