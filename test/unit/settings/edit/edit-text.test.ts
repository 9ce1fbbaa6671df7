// Edits of commented settings files: the bytes of all other parts stay.
import { expect, test } from "vitest";
import { parse } from "yaml";
import { editText, type SettingsEdit } from "../../../../src/settings/edit/edit-text.ts";
import { unifiedDiff } from "../../../../src/settings/edit/unified-diff.ts";

const FILE = `# The shop's mirror.
server: { port: 8080,   adminPort: 8081 }   # two ports

data:   ./data
limits:
    memory: 256MB     # hot
projects:
  # The only one.
  - appid: '10001234'
    keys:
    - { secretId: AKID1, secretKey: "one" } # first
    buckets:
      - name: photos   # the shop's
        # Signed since May.
        token: "required"
        separators: ["!", _]
        aliases:
          small: imageView2/2/w/200
          # the big one
          big:   imageView2/2/w/900
        domains:
          - host: img.example.com  # main
            mirror:
              origins:
                - type: site
                  url: https://www.example.com  # apache

      # archive
      - name: archive
        domains: []  # none yet
        notes:
# the end
`;

/** Edits of FILE, and the lines that they take away and add. */
const BUCKET = ["projects", 0, "buckets", 0];
test.each<{ what: string; edits: readonly SettingsEdit[]; diff: readonly string[] }>([
  {
    what: "a plain value, and its comment stays",
    edits: [{ path: ["limits", "memory"], value: "1GB" }],
    diff: ["-    memory: 256MB     # hot", "+    memory: 1GB     # hot"],
  },
  {
    what: "a quoted value, which stays quoted",
    edits: [{ path: [...BUCKET, "token"], value: "off" }],
    diff: ['-        token: "required"', '+        token: "off"'],
  },
  {
    what: "a value in a flow mapping",
    edits: [{ path: ["server", "port"], value: 80 }],
    diff: [
      "-server: { port: 8080,   adminPort: 8081 }   # two ports",
      "+server: { port: 80,   adminPort: 8081 }   # two ports",
    ],
  },
  {
    what: "a new key of a flow mapping",
    edits: [{ path: ["server", "host"], value: "a, b" }],
    diff: [
      "-server: { port: 8080,   adminPort: 8081 }   # two ports",
      '+server: { port: 8080,   adminPort: 8081, host: "a, b" }   # two ports',
    ],
  },
  {
    what: "a key of a flow mapping that goes",
    edits: [{ path: ["server", "port"] }],
    diff: ["-server: { port: 8080,   adminPort: 8081 }   # two ports", "+server: { adminPort: 8081 }   # two ports"],
  },
  {
    what: "an item that joins a flow list",
    edits: [{ path: [...BUCKET, "separators", 2], value: "/" }],
    diff: ['-        separators: ["!", _]', '+        separators: ["!", _, /]'],
  },
  {
    what: "the last item of a flow list that goes",
    edits: [{ path: [...BUCKET, "separators", 1] }],
    diff: ['-        separators: ["!", _]', '+        separators: ["!"]'],
  },
  {
    what: "a new key of a block mapping",
    edits: [{ path: [...BUCKET, "aliases", "a: b"], value: "imageView2/2/w/1" }],
    diff: ['+          "a: b": imageView2/2/w/1'],
  },
  {
    what: "a key of a block mapping that goes",
    edits: [{ path: [...BUCKET, "aliases", "small"] }],
    diff: ["-          small: imageView2/2/w/200"],
  },
  {
    what: "the key beside the dash that goes",
    edits: [{ path: [...BUCKET, "domains", 0, "host"] }],
    diff: ["-          - host: img.example.com  # main", "-            mirror:", "+          - mirror:"],
  },
  {
    what: "a new item of a block list",
    edits: [{ path: [...BUCKET, "domains", 1], value: { host: "b.example.com", mirror: { keyQuery: ["v"] } } }],
    diff: [
      "+          - host: b.example.com",
      "+            mirror:",
      "+              keyQuery:",
      "+                - v",
    ],
  },
  {
    what: "an item that is set anew, of which the comment beside a changed value stays",
    edits: [{ path: [...BUCKET, "domains", 0] }, { path: [...BUCKET, "domains", 0], value: { host: "b.example.com" } }],
    diff: [
      "-          - host: img.example.com  # main",
      "-            mirror:",
      "-              origins:",
      "-                - type: site",
      "-                  url: https://www.example.com  # apache",
      "+          - host: b.example.com  # main",
    ],
  },
  {
    what: "a bucket that goes; the comment above it stays",
    edits: [{ path: ["projects", 0, "buckets", 1] }],
    diff: ["-      - name: archive", "-        domains: []  # none yet", "-        notes:"],
  },
  {
    what: "an empty list that gets its first item",
    edits: [{ path: ["projects", 0, "buckets", 1, "domains"], value: [{ host: "c.example.com" }] }],
    diff: ["-        domains: []  # none yet", "+        domains:  # none yet", "+          - host: c.example.com"],
  },
  {
    what: "a key without a value",
    edits: [{ path: ["projects", 0, "buckets", 1, "notes"], value: "x" }],
    diff: ["-        notes:", "+        notes: x"],
  },
  {
    what: "parts of a path that the file lacks",
    edits: [{ path: ["projects", 0, "buckets", 1, "notes", "deep", 0], value: 1 }],
    diff: ["+          deep:", "+            - 1"],
  },
  {
    what: "a mapping that becomes empty",
    edits: [{ path: [...BUCKET, "aliases"], value: {} }],
    diff: [
      "-        aliases:",
      "-          small: imageView2/2/w/200",
      "-          # the big one",
      "-          big:   imageView2/2/w/900",
      "+        aliases: {}",
    ],
  },
  {
    what: "a whole list, of which equal items stay",
    edits: [
      {
        path: ["projects", 0, "keys"],
        value: [
          { secretId: "AKID0", secretKey: "zero" },
          { secretId: "AKID1", secretKey: "one" },
        ],
      },
    ],
    diff: ["+    - secretId: AKID0", "+      secretKey: zero"],
  },
  {
    what: "a new key at the end of the file",
    edits: [{ path: ["store"], value: { type: "fs" } }],
    diff: ["+store:", "+  type: fs"],
  },
  {
    what: "two edits at the same place and one far away",
    edits: [
      { path: [...BUCKET, "domains", 0, "mirror", "origins", 1], value: { type: "site" } },
      { path: [...BUCKET, "domains", 0, "mirror", "negativeTtl"], value: "1m" },
      { path: [...BUCKET, "cors"], value: [] },
      { path: ["data"], value: "data" },
    ],
    diff: [
      "-data:   ./data",
      "+data:   data",
      "+                - type: site",
      "+              negativeTtl: 1m",
      "+        cors: []",
    ],
  },
  {
    what: "the order of two items",
    edits: [{ path: [...BUCKET, "separators", 0], to: 1 }],
    diff: ['-        separators: ["!", _]', '+        separators: [_, "!"]'],
  },
  {
    what: "the place of a bucket, and the comment above it stays",
    edits: [{ path: ["projects", 0, "buckets", 1], to: 0 }],
    diff: ["+", "-"].flatMap((sign) => {
      const lines = FILE.split("\n");
      return lines.slice(lines.indexOf("      # archive") - 1, lines.indexOf("# the end")).map((line) => sign + line);
    }),
  },
  { what: "nothing, if the value is the same", edits: [{ path: ["limits", "memory"], value: "256MB" }], diff: [] },
])("editText() changes $what", ({ edits, diff }) => {
  for (const newline of ["\n", "\r\n"]) {
    for (const isEnded of [true, false]) {
      const given = (isEnded ? FILE : FILE.slice(0, -1)).replaceAll("\n", newline);
      const edited = editText(given, edits);
      const changed = unifiedDiff(edited, (text) => text).filter((line) => !/^[ @]/.test(line));
      expect(changed).toEqual(diff);
      expect(edited.text.endsWith("\n")).toBe(isEnded);
      // Every other byte is as it was.
      const lines = patched(
        given.split(newline),
        unifiedDiff(edited, (text) => text),
      );
      expect(edited.text).toBe(lines.join(newline));
      expect(edited.text.includes("\r\n")).toBe(newline === "\r\n");
    }
  }
});

/** Applies a unified diff, as `patch` does. */
function patched(lines: readonly string[], diff: readonly string[]): readonly string[] {
  const out: string[] = [];
  let at = 0;
  for (const line of diff) {
    const from = /^@@ -(\d+),/.exec(line)?.[1];
    if (from !== undefined) while (at < Number(from) - 1) out.push(lines[at++] ?? "");
    else if (line.startsWith("+")) out.push(line.slice(1));
    else {
      expect(lines[at]).toBe(line.slice(1));
      if (line.startsWith(" ")) out.push(line.slice(1));
      at += 1;
    }
  }
  return [...out, ...lines.slice(at)];
}

test("unifiedDiff() has headers and three lines of context, and joins hunks that meet", () => {
  const text = Array.from({ length: 20 }, (_, index) => `k${index}: 0\n`).join("");
  const edits = [2, 8, 18].map((index) => ({ path: [`k${index}`], value: 1 }));
  expect(unifiedDiff(editText(text, edits), (shown) => shown)).toEqual([
    "@@ -1,12 +1,12 @@",
    ...[" k0: 0", " k1: 0", "-k2: 0", "+k2: 1", " k3: 0", " k4: 0", " k5: 0", " k6: 0", " k7: 0", "-k8: 0", "+k8: 1"],
    ...[" k9: 0", " k10: 0", " k11: 0"],
    "@@ -16,5 +16,5 @@",
    ...[" k15: 0", " k16: 0", " k17: 0", "-k18: 0", "+k18: 1", " k19: 0"],
  ]);
});

const ANCHORED = `shared: &mirror
  ttl: 1d   # both
plain: &name photos
a: { mirror: *mirror, name: *name }
b:
  mirror: *mirror
seq: [1, 2]
`;

test("editText() edits an anchor, and its aliases follow", () => {
  const { text } = editText(ANCHORED, [
    { path: ["shared", "ttl"], value: "2d" },
    { path: ["plain"], value: "pictures" },
  ]);
  expect(text).toBe(ANCHORED.replace("1d", "2d").replace("photos", "pictures"));
  expect(parse(text)).toMatchObject({ a: { mirror: { ttl: "2d" }, name: "pictures" }, b: { mirror: { ttl: "2d" } } });
});

test("editText() replaces a whole alias, and keeps the anchor", () => {
  const { text } = editText(ANCHORED, [{ path: ["b", "mirror"], value: { ttl: "3d" } }]);
  expect(text).toBe(ANCHORED.replace("  mirror: *mirror\n", "  mirror:\n    ttl: 3d\n"));
});

test.each<{ what: string; edit: SettingsEdit; says: string }>([
  {
    what: "inside of an alias",
    edit: { path: ["b", "mirror", "ttl"], value: "3d" },
    says: "b.mirror is the alias *mirror; edit its anchor &mirror, or set b.mirror",
  },
  { what: "that takes an anchor away", edit: { path: ["shared"] }, says: "an alias would have no anchor any more" },
  { what: "of a value that is absent", edit: { path: ["c", "d"] }, says: "c.d is not in the file" },
  { what: "that moves an item too far", edit: { path: ["seq", 0], to: 2 }, says: "there is no position 2" },
  { what: "that moves a key", edit: { path: ["a", "mirror"], to: 0 }, says: "there is no position 0" },
  { what: "below a single value", edit: { path: ["plain", "x"], value: 1 }, says: "plain is no mapping and no list" },
])("editText() refuses an edit $what", ({ edit, says }) => {
  expect(() => editText(ANCHORED, [edit])).toThrow(
    expect.objectContaining({ code: "request_invalid", message: expect.stringContaining(says) }),
  );
});

test.each([{ path: ["list", 2], value: 1 }, { path: ["list", "0"], value: 1 }, { path: ["list", 1] }])(
  "editText() refuses the list position of $path",
  (edit) => {
    expect(() => editText("list: [1]\n", [edit])).toThrow(expect.objectContaining({ code: "request_invalid" }));
  },
);

test.each(["", "# only a comment"])("editText() fills the empty file %j", (text) => {
  const { text: written } = editText(text, [{ path: ["projects", 0, "appid"], value: "1" }]);
  expect(parse(written)).toEqual({ projects: [{ appid: "1" }] });
  expect(written.startsWith(text)).toBe(true);
});

test("editText() refuses a form that it cannot write, and never writes another meaning", () => {
  const text =
    "? a\n: 1\n? b\n: 2\nlist:\n- - 1\n  - 2\n- - 3\nflow: { a, b: [1,\n  2 ], &x c: 3 }\ntext: |\n  a\n  b\nlast: >-\n  x\n";
  const values = [undefined, "x: y", { a: 1 }, [1, [2]], [], null, "two\nlines"];
  const paths = [["a"], ["b"], ["list", 0], ["list", 0, 0], ["list", 0, 1], ["list", 1], ["flow"], ["flow", "a"]];
  paths.push(["flow", "b"], ["flow", "b", 0], ["flow", "c"], ["text"], ["last"], ["new"], ["list", 2]);
  let written = 0;
  for (const path of paths)
    for (const value of values) {
      const before = parse(text);
      let edited: string;
      try {
        edited = editText(text, [{ path, value }]).text;
      } catch (error) {
        expect(error).toMatchObject({ code: "request_invalid" });
        continue;
      }
      written += 1;
      const owner = path.slice(0, -1).reduce((at, part) => at[part], before);
      const last = path.at(-1) as string;
      if (value !== undefined) owner[last] = value;
      else if (Array.isArray(owner)) owner.splice(Number(last), 1);
      else delete owner[last];
      expect(parse(edited)).toEqual(before);
    }
  expect(written).toBeGreaterThan(80);
});
