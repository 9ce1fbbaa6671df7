// Changes of the bucket page become edits of the settings file.
import { expect, test } from "vitest";
import { parse } from "yaml";
import {
  changesIn,
  drafted,
  editsOf,
  faultAt,
  isRemoved,
  NO_DRAFT,
  pathText,
  withRemoved,
  withSet,
} from "../../../../../src/operate/settings/page/draft.ts";
import { editText } from "../../../../../src/settings/edit/edit-text.ts";

const TEXT = `# by hand
name: photos
aliases: { small: imageView2/2/w/200 }
domains:
  - host: a.example.com # first
  - host: b.example.com
  - host: c.example.com
`;
const TREE: unknown = parse(TEXT);
const host = (place: number) => ["domains", place, "host"];

test("a change that is taken back is none", () => {
  const changed = withSet(NO_DRAFT, TREE, { path: ["token"], value: "required" });
  expect(editsOf(changed)).toEqual([{ path: ["token"], value: "required" }]);
  expect(changesIn(withSet(changed, TREE, { path: ["token"] }))).toBe(0);
  expect(changesIn(withSet(changed, TREE, { path: ["name"], value: "photos" }))).toBe(1);
});

test("a removed setting of the file is an edit without a value", () => {
  const draft = withSet(NO_DRAFT, TREE, { path: ["aliases", "small"] });
  expect(editsOf(draft)).toEqual([{ path: ["aliases", "small"] }]);
  expect(drafted(TREE, draft)).toMatchObject({ aliases: {} });
});

test("changed, removed and added items do not move each other", () => {
  let draft = withRemoved(NO_DRAFT, TREE, ["domains", 0]);
  draft = withSet(draft, TREE, { path: host(1), value: "B.example.com" });
  draft = withSet(draft, TREE, { path: ["domains", 3], value: { host: "d.example.com" } });
  draft = withRemoved(draft, TREE, ["domains", 2]);
  draft = withSet(draft, TREE, { path: host(3), value: "e.example.com" });
  draft = withSet(draft, TREE, { path: host(0), value: "lost.example.com" });
  const { text } = editText(TEXT, editsOf(draft));
  expect(parse(text)).toMatchObject({ domains: [{ host: "B.example.com" }, { host: "e.example.com" }] });
  expect(text).toContain("# by hand");
});

test("a mark is taken away by a second press, and an added item goes at once", () => {
  const marked = withRemoved(NO_DRAFT, TREE, ["domains", 1]);
  expect(isRemoved(marked, ["domains", 1])).toBe(true);
  expect(withRemoved(marked, TREE, ["domains", 1])).toEqual(NO_DRAFT);
  let draft = withSet(NO_DRAFT, TREE, { path: ["domains", 3], value: { host: "d" } });
  draft = withSet(draft, TREE, { path: ["domains", 4], value: { host: "e" } });
  expect(editsOf(withRemoved(draft, TREE, ["domains", 3]))).toEqual([{ path: ["domains", 3], value: { host: "e" } }]);
});

test("settings are put into mappings that the file does not have", () => {
  const draft = withSet(NO_DRAFT, TREE, { path: ["referers", "mode"], value: "allow" });
  expect(drafted(TREE, draft)).toMatchObject({ referers: { mode: "allow" } });
  expect(parse(editText(TEXT, editsOf(draft)).text)).toMatchObject({ referers: { mode: "allow" } });
});

test.each([
  [["projects", 0, "aliases", "a.b"], 'projects[0].aliases["a.b"]'],
  [["server", "port"], "server.port"],
  [[], ""],
])("pathText(%j) is %s, as faults write it", (path, expected) => {
  expect(pathText(path)).toBe(expected);
});

test("faultAt() finds the fault of a field or below it, and not that of a field whose name begins alike", () => {
  const faults = [{ path: "server.portal" }, { path: "server.ports[1].a" }, { path: "server.port.x" }];
  expect(faultAt(faults, ["server", "ports"])).toBe(faults[1]);
  expect(faultAt(faults, ["server", "port"])).toBe(faults[2]);
  expect(faultAt(faults, ["server", "host"])).toBeUndefined();
});

test("a mark of an item is taken away with the mapping around it", () => {
  const marked = withRemoved(NO_DRAFT, TREE, ["domains", 0]);
  const gone = withSet(marked, TREE, { path: ["domains"] });
  expect(editsOf(gone)).toEqual([{ path: ["domains"] }]);
  const back = withSet(gone, TREE, { path: ["domains"], value: [{ host: "d.example.com" }] });
  expect(isRemoved(back, ["domains", 0])).toBe(false);
});

test("an item that came with an added mapping can be removed", () => {
  const mirror = { path: ["domains", 0, "mirror"], value: { origins: [{ type: "site", url: "" }], rules: [] } };
  const added = withSet(NO_DRAFT, TREE, mirror);
  const typed = withSet(added, TREE, { path: [...mirror.path, "origins", 0, "url"], value: "http://x" });
  const without = withRemoved(typed, TREE, [...mirror.path, "origins", 0]);
  expect(editsOf(without)).toEqual([{ path: mirror.path, value: { origins: [], rules: [] } }]);
});
