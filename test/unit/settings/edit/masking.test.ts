// Secrets, values of unknown places and comments are never shown.
import { expect, test } from "vitest";
import { maskedText, maskedTree } from "../../../../src/settings/edit/masking.ts";
import { FILE_PATHS, isKnownPath, SECRET_PATHS } from "../../../../src/settings/setting-paths.ts";

const TEXT = `# hidden-1
server: { port: 8080, adminToken: "hidden-2", token: hidden-3 } # hidden-4
store: hidden-5
limits:
  memory: &m 256MB
  disk: *m
projects:
  - appid: "1" # hidden-6
    keys:
      - secretId: AKID#1
        secretKey: |
          hidden-7
          hidden-8
      - secretId: "AKID # 2"
        secretKey: env:NAME
      - { secretId: a, secretKey: { hidden: hidden-9 # hidden-10
          } }
      - { secretId: a, secretkey: hidden-11, enabled: ~ }
    buckets:
      - name: photos
        callback: { secret: "env:not a name, hidden-12" }
        domains:
          - mirror: { origins: [{ type: site, headers: { A: file:a.key, B: hidden-13 } }], rules: [{ setQuery: { q: "hidden-14" } }] }
`;

test("maskedText() hides secrets, unknown values and comments, and keeps the lines", () => {
  const shown = maskedText(TEXT);
  expect(shown).not.toContain("hidden-");
  expect(shown.split("\n")).toHaveLength(TEXT.split("\n").length);
  const lines = shown.split("\n");
  expect(lines.slice(0, 8)).toEqual([
    "# …",
    "server: { port: 8080, adminToken: [secret], token: [secret] } # …",
    "store: [secret]",
    "limits:",
    "  memory: &m 256MB",
    "  disk: *m",
    "projects:",
    '  - appid: "1" # …',
  ]);
  for (const kept of ["secretId: AKID#1", '"AKID # 2"', "secretKey: env:NAME", "A: file:a.key", "enabled: ~"])
    expect(shown).toContain(kept);
});

test("maskedTree() hides the same values", () => {
  const tree = {
    server: { adminToken: "hidden-1", tokens: ["hidden-2"], port: 1 },
    projects: [
      { keys: [{ secretId: "A", secretKey: 123 }, { secretKey: ["hidden-3"] }], appid: "1", x: null },
      "hidden-4",
    ],
    data: { inner: "hidden-5" },
  };
  expect(maskedTree(tree)).toEqual({
    server: { adminToken: "[secret]", tokens: ["[secret]"], port: 1 },
    projects: [
      { keys: [{ secretId: "A", secretKey: "[secret]" }, { secretKey: "[secret]" }], appid: "1", x: null },
      "[secret]",
    ],
    data: { inner: "[secret]" },
  });
  expect(maskedTree(JSON.parse('{"__proto__":{"a":1}}'))).not.toHaveProperty("a");
});

test("the schema says which settings name files, and no secret is a known value of another kind", () => {
  expect(FILE_PATHS.map((pattern) => pattern.join("."))).toEqual([
    "server.migrationFolders.*",
    "data",
    "projects.*.buckets.*.notFound.file",
  ]);
  expect(SECRET_PATHS.length).toBeGreaterThan(8);
  expect(SECRET_PATHS.filter((pattern) => !isKnownPath(pattern))).toEqual([]);
  expect([["server"], [], ["server", "port", 0], ["nothing"]].map((path) => isKnownPath(path))).toEqual(
    Array.from({ length: 4 }, () => false),
  );
});
