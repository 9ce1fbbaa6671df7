// Rules of the source: which rooms may import which, where each dependency may be imported, and the form of files.
// architecture.md explains them. Add a row for a new room or dependency, and the reason for an exception.
import { readdirSync, readFileSync } from "node:fs";
import { basename, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Bottom first. A room may import itself and the layers before its own, but no other room of its layer. `operate/` is
 * one room here: the door and the test of circles say what its folders may import.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["core"],
  ["async"],
  ["serve/sign", "settings", "sqlite"],
  ["serve/body"],
  ["serve/bucket", "serve/origin", "serve/image"],
  ["ledger"],
  ["serve/mirror", "serve/upload"],
  ["serve/cluster"],
  ["serve/http"],
  ["serve/wiring"],
  ["operate"],
  ["app"],
  ["main"],
  // A program of its own: another server's client.
  ["client"],
];

/** Rooms that fewer rooms may import than their layer would allow. */
const ONLY_FOR: Readonly<Record<string, readonly string[]>> = {
  // Other rooms take small option objects instead of whole Settings.
  settings: ["serve/wiring", "operate", "app"],
  // Tokens are checked before the mirror and its stores are used.
  "serve/sign": ["serve/upload", "serve/cluster", "serve/http", "serve/wiring", "operate"],
  client: [],
};

/** Rooms and files that may import only these files from the rest of src/. */
const ONLY_THESE: Readonly<Record<string, readonly string[]>> = {
  // The SDK must not include the server.
  client: ["serve/sign/token.ts", "serve/sign/callback.ts"],
  "serve/sign/token.ts": ["core/errors.ts"],
  "serve/sign/callback.ts": [],
};

const EXCEPTIONS = [
  {
    from: "settings/checks/rule-checks.ts",
    to: "serve/image/grammar/grammar.ts",
    why: "an invalid alias is a fault of the settings file",
  },
  {
    from: "serve/bucket/fs/",
    to: "serve/sign/once.ts",
    why: "a spent one-time token is a row that the one writer commits",
  },
  { from: "operate/cli/serve.ts", to: "app.ts", why: "it starts a server" },
  { from: "operate/trial/command.ts", to: "app.ts", why: "it starts a server" },
  { from: "operate/migrations/", to: "client/", why: "a migration is a client of the REST API" },
];

/** Files that may import a dependency, or folders with a `/` at the end. */
const IMPORTED_IN: Readonly<Record<string, readonly string[]>> = {
  "@fastify/busboy": ["serve/upload/form.ts"],
  "@hono/node-server": ["serve/http/", "operate/admin/", "operate/images/calls/"],
  "@node-rs/crc32": ["serve/body/spool/hashing.ts"],
  aws4fetch: ["core/sigv4.ts"],
  "better-sqlite3": ["core/sqlite.ts"],
  commander: ["operate/", "main.ts"],
  hono: ["serve/http/", "operate/"],
  "http-cache-semantics": ["serve/mirror/freshness/freshness.ts"],
  ioredis: ["serve/cluster/valkey.ts"],
  "ipaddr.js": ["core/addresses.ts", "settings/", "serve/http/"],
  diff: ["settings/edit/unified-diff.ts"],
  "lru-cache": [
    "serve/http/request/client-limits.ts",
    "serve/mirror/stored/",
    "serve/sign/verified.ts",
    "serve/bucket/",
    "serve/cluster/leases.ts",
    "serve/upload/known-md5.ts",
    "serve/wiring/service.ts",
    "operate/migrations/sources/origins.ts",
  ],
  pino: ["operate/cli/"],
  "pino-pretty": ["operate/cli/"],
  "prom-client": ["operate/admin/metrics.ts"],
  re2js: ["operate/migrations/config/filters.ts"],
  sharp: ["serve/image/"],
  undici: ["serve/origin/dial/dialer.ts"],
  yaml: ["settings/", "operate/migrations/config/options.ts"],
  zod: ["settings/", "operate/"],
  // Development dependencies that the build puts into the console's files.
  "@preact/signals": ["operate/"],
  preact: ["operate/"],
  uplot: ["operate/console/parts/plot.tsx", "operate/pages.tsx"],
};
const BUNDLED = ["@preact/signals", "preact", "uplot"];

/** Dependencies in package.json without a use yet; the first use adds a row above. */
const NOT_USED_YET: readonly string[] = [];

/** The files of serve/ that operate/ may import, with the reason. */
const DOOR: Readonly<Record<string, string>> = {
  "serve/body/spool/spool-pool.ts": "a migration receives bodies as the mirror does",
  "serve/body/spool/spool.ts": "what a target of a migration gets: a whole body",
  "serve/bucket/contract/bucket.ts": "calls and migrations put and delete objects",
  "serve/bucket/fs/blob-places.ts": "a backup copies the files of blobs and packs",
  "serve/bucket/fs/catalogue/inventory.ts": "a backup lists what a catalogue names",
  "serve/bucket/fs/lock.ts": "a backup and a restore hold the locks of the data folder",
  "serve/bucket/s3/answers.ts": "a migration lists a bucket of S3",
  "serve/http/download/download.ts": "the console shows an image by the walk of a download",
  "serve/http/dry-run/dry-run.ts": "`explain`",
  "serve/http/health.ts": "`explain` knows the path of health checks",
  "serve/http/request/authorizer.ts": "`explain` judges the Referer",
  "serve/http/request/client-address.ts": "who calls, behind trusted proxies",
  "serve/http/request/exchange.ts": "what was asked and answered, for metrics and usage",
  "serve/http/request/object-name.ts": "names of objects in calls are URLs of downloads too",
  "serve/http/request/site.ts": "the domains and buckets in force",
  "serve/http/request/target.ts": "names of objects in calls are URLs of downloads too",
  "serve/http/response/public-url.ts": "the URLs that answers and commands show",
  "serve/http/rest/call.ts": "an upload of the console is one of the REST API",
  "serve/http/rest/rest.ts": "what was called and answered, for metrics and the operation log",
  "serve/http/rest/target.ts": "`explain` knows the paths of the REST API",
  "serve/image/grammar/canonical-text.ts": "the text of a recipe",
  "serve/mirror/fill/arrival.ts": "a migration proves bodies as the mirror does",
  "serve/mirror/rules.ts": "a migration from a domain's origins applies its rules",
  "serve/origin/exchange/hop.ts": "URLs of origins",
  "serve/origin/guard/guarded.ts": "the report of origins",
  "serve/origin/kinds/http-origin.ts": "sources of a migration are origins",
  "serve/origin/kinds/http-rules.ts": "sources of a migration are origins",
  "serve/origin/kinds/probe.ts": "doctor examines origins",
  "serve/origin/kinds/qiniu.ts": "sources of a migration are origins",
  "serve/origin/kinds/s3.ts": "sources of a migration are origins",
  "serve/origin/kinds/site.ts": "sources of a migration are origins",
  "serve/origin/origin.ts": "sources of a migration are origins",
  "serve/sign/redact.ts": "no token is logged or shown",
  "serve/sign/token.ts": "`sign`",
  "serve/upload/callback/outbox.ts": "pending callbacks are listed and retried",
  "serve/upload/upload-store.ts": "an upload of the console is one of the REST API",
  "serve/wiring/origins.ts": "origins of the settings, for doctor and migrations",
  "serve/wiring/service.ts": "the mirror as a whole",
  "serve/wiring/site.ts": "a migration from a domain's origins applies its rules",
  "serve/wiring/stores.ts": "a migration into the store of the settings",
};
const WIDEST_DOOR = 40;

const LONGEST_UNEXPLAINED_LINES = 300;
/** Files side by side in one room. */
const MOST_FILES_IN_A_ROOM = 15;
const MEANINGLESS_NAMES = /^index$|(^|-)(utils?|helpers?|common|managers?|base)$/;

interface SourceFile {
  /** Below src/, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const IMPORTS = [
  /^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm,
  /^\s*import\s*["']([^"']+)["']/gm,
  /\b(?:import|require)\(\s*["'`]([^"'`]+)["'`]/g,
  // Worker threads are imports too.
  /\bnew URL\(\s*["'`](\.[^"'`]+\.[tj]s)["'`],\s*import\.meta\.url/g,
];

function importsIn(text: string): string[] {
  return IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ""));
}

const FILES: readonly SourceFile[] = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path))
  .sort()
  .map((path) => {
    const text = readFileSync(`${ROOT}src/${path}`, "utf8");
    return { path, text, imports: importsIn(text) };
  });

/** `serve/http/wire/server.ts` → `serve/http`, `operate/admin/access.ts` → `operate`, `app.ts` → `app`. */
const roomOf = (path: string) => /^serve\/[^/]+|^[^/]+?(?=\/|\.ts$)/.exec(path)?.[0] ?? "";
const layerOf = (room: string) => LAYERS.findIndex((rooms) => rooms.includes(room));
const isRelative = (specifier: string) => specifier.startsWith(".");
/** The target of a relative import, below src/ (or `../…` outside it). */
const targetOf = (file: string, specifier: string) => posix.join(posix.dirname(file), specifier);
/** `hono/cors` → `hono`, `@hono/node-server/serve` → `@hono/node-server`. */
const packageOf = (specifier: string) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

/** `file → import` of every import for which `isOffence` holds. */
function offences(isOffence: (file: string, specifier: string) => boolean): string[] {
  return FILES.flatMap(({ path, imports }) =>
    imports.filter((specifier) => isOffence(path, specifier)).map((specifier) => `${path} → ${specifier}`),
  );
}

const isException = (file: string, target: string) =>
  EXCEPTIONS.some(({ from, to }) => file.startsWith(from) && target.startsWith(to));

function mayImport(file: string, target: string): boolean {
  const [from, to] = [roomOf(file), roomOf(target)];
  const all = ONLY_THESE[file];
  if (all !== undefined) return all.includes(target);
  if (from === to) return true;
  const others = ONLY_THESE[from];
  if (others !== undefined) return others.includes(target);
  if (isException(file, target)) return true;
  const importers = ONLY_FOR[to];
  if (importers !== undefined) return importers.includes(from);
  return layerOf(to) < layerOf(from);
}

test("this test finds the files of src/, their imports and every room", () => {
  expect(FILES.length).toBeGreaterThanOrEqual(60);
  expect(FILES.flatMap((file) => file.imports).length).toBeGreaterThanOrEqual(FILES.length);
  expect([...new Set(FILES.map((file) => roomOf(file.path)))].sort()).toEqual(LAYERS.flat().sort());
});

test("importsIn() finds every form of import", () => {
  const text = `
import a, { type B } from "./a.ts";
import type {
  C,
} from "../b/c.ts";
import "./d.ts";
export * from "./e.ts";
export { f } from './f.ts';
const g = await import("./g.ts");
const h = createRequire(import.meta.url)("h"), i = require("i");
new Worker(new URL("./j.ts", import.meta.url));
`;
  const seen = ["./a.ts", "../b/c.ts", "./e.ts", "./f.ts", "./d.ts", "./g.ts", "i", "./j.ts"];
  expect(importsIn(text)).toEqual(seen);
});

test.each([
  { file: "serve/mirror/fill/fill.ts", target: "serve/body/spool/spool.ts", may: true },
  { file: "core/log.ts", target: "core/errors.ts", may: true },
  { file: "serve/body/spool/spool.ts", target: "serve/mirror/fill/fill.ts", may: false },
  { file: "serve/origin/kinds/site.ts", target: "serve/bucket/contract/bucket.ts", may: false },
  { file: "serve/sign/token.ts", target: "settings/schema/schema.ts", may: false },
  { file: "serve/http/wire/server.ts", target: "settings/schema/schema.ts", may: false },
  { file: "serve/http/app.ts", target: "operate/admin/metrics.ts", may: false },
  { file: "serve/http/download/download.ts", target: "serve/sign/token.ts", may: true },
  { file: "serve/bucket/fs/writer/batch.ts", target: "serve/sign/once.ts", may: true },
  { file: "serve/bucket/fs/writer/batch.ts", target: "serve/sign/token.ts", may: false },
  { file: "operate/cli/serve.ts", target: "settings/load.ts", may: true },
  { file: "app.ts", target: "operate/admin/app.ts", may: true },
  { file: "operate/admin/app.ts", target: "app.ts", may: false },
  { file: "client/upload.ts", target: "client/url.ts", may: true },
  { file: "client/upload.ts", target: "serve/sign/token.ts", may: true },
  { file: "client/client.ts", target: "serve/sign/callback.ts", may: true },
  { file: "client/upload.ts", target: "core/errors.ts", may: false },
  { file: "operate/migrations/targets/rest.ts", target: "client/url.ts", may: true },
  { file: "operate/cli/serve.ts", target: "client/url.ts", may: false },
  { file: "serve/sign/token.ts", target: "core/errors.ts", may: true },
  { file: "serve/sign/token.ts", target: "core/log.ts", may: false },
  { file: "serve/sign/token.ts", target: "serve/sign/once.ts", may: false },
  { file: "serve/sign/callback.ts", target: "core/errors.ts", may: false },
])("mayImport($file, $target) is $may", ({ file, target, may }) => {
  expect(mayImport(file, target)).toBe(may);
});

test("each room imports only itself and the layers below", () => {
  const isUpward = (file: string, specifier: string) =>
    isRelative(specifier) && !mayImport(file, targetOf(file, specifier));
  expect(offences(isUpward)).toEqual([]);
});

/** The console in the browser and the server, for the page of the trial, use them. They import each other only. */
const FOR_BOTH = ["operate/console/frame.ts", "operate/console/text/texts-in.ts", "operate/console/text/words.ts"];

/** Vite builds them for the browser, as it does the trial's script, which imports nothing. */
const isForBrowser = (path: string) =>
  /^operate\/(?!trial\/)(console\/|[^/]+\/(page|wizard)\/|.*\.tsx$|[^/]+\/words\.ts$)/.test(path);

test("files of the browser import only types from the others, and the others nothing from them", () => {
  const values = FILES.flatMap(({ path, text }) =>
    [...text.matchAll(/^(?:import|export)(?! type\b)[^;]*?from "(\.[^"]+\.tsx?)"/gm)]
      .map(([, specifier = ""]) => targetOf(path, specifier))
      .filter((target) =>
        FOR_BOTH.includes(path)
          ? !FOR_BOTH.includes(target)
          : isForBrowser(target) !== isForBrowser(path) && !FOR_BOTH.includes(target),
      )
      .map((target) => `${path} → ${target}`),
  );
  expect(values).toEqual([]);
});

test("the operator's wing imports only the files of the mirror that the door names, and each of them", () => {
  const wanted = FILES.filter(({ path }) => path.startsWith("operate/")).flatMap(({ path, imports }) =>
    imports.filter(isRelative).map((specifier) => targetOf(path, specifier)),
  );
  expect(Object.keys(DOOR).length).toBeLessThanOrEqual(WIDEST_DOOR);
  expect([...new Set(wanted.filter((target) => target.startsWith("serve/")))].sort()).toEqual(Object.keys(DOOR).sort());
});

test("the admin port and the frame of the commands import no feature", () => {
  const isOfFeature = (file: string, specifier: string) =>
    /^operate\/(?:admin|cli)\//.test(file) && /^operate\/(?!admin\/|cli\/)[^/]+\//.test(targetOf(file, specifier));
  expect(offences((file, specifier) => isRelative(specifier) && isOfFeature(file, specifier))).toEqual([]);
});

test("nothing in src/ imports from outside src/", () => {
  const leavesSrc = (file: string, specifier: string) =>
    isRelative(specifier) && targetOf(file, specifier).startsWith("..");
  expect(offences(leavesSrc)).toEqual([]);
});

test("each dependency is imported only where it may be", () => {
  const isElsewhere = (file: string, specifier: string) => {
    if (isRelative(specifier) || specifier.startsWith("node:")) return false;
    const places = IMPORTED_IN[packageOf(specifier)] ?? [];
    return !places.some((place) => (place.endsWith("/") ? file.startsWith(place) : file === place));
  };
  expect(offences(isElsewhere)).toEqual([]);
});

test("every module is loaded by a literal name, which this test can read", () => {
  const hides = /\bcreateRequire\b|\b(?:import|require)\(\s*[^"'`\s)]/;
  // The dialer loads undici by the first connection, and names it by its types.
  const readable = (path: string, text: string) =>
    path === "serve/origin/dial/dialer.ts" ? text.replace(/^.*createRequire.*$/gm, "") : text;
  expect(FILES.filter(({ path, text }) => hides.test(readable(path, text))).map(({ path }) => path)).toEqual([]);
});

test("every dependency has a row, and every row is used", () => {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as Record<
    string,
    object
  >;
  const needed = [...Object.keys({ ...dependencies, ...optionalDependencies }), ...BUNDLED].filter(
    (name) => !NOT_USED_YET.includes(name) || name in IMPORTED_IN,
  );
  expect(Object.keys(IMPORTED_IN).sort()).toEqual(needed.sort());
  const used = new Set(FILES.flatMap((file) => file.imports.map(packageOf)));
  expect(Object.keys(IMPORTED_IN).filter((name) => !used.has(name))).toEqual([]);
});

test("process.exit is called in one file only", () => {
  const callers = FILES.filter(({ text }) => /\bprocess\s*\.\s*exit\b/.test(text)).map(({ path }) => path);
  expect(callers).toEqual(["operate/cli/run-to-end.ts"]);
});

test("every file begins with a header comment", () => {
  const withoutHeader = FILES.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text)).map(({ path }) => path);
  expect(withoutHeader).toEqual([]);
});

test("the header of a long file gives the reason", () => {
  const unexplained = FILES.filter(({ text }) => {
    const header = /^(?:#!.*\n)?((?:\/\/.*\n)+|\/\*[\s\S]*?\*\/)/.exec(text)?.[1] ?? "";
    return text.split("\n").length - 1 > LONGEST_UNEXPLAINED_LINES && !/\b(long|lines)\b/.test(header);
  });
  expect(unexplained.map(({ path }) => path)).toEqual([]);
});

test("no file is a barrel or has a meaningless name", () => {
  const meaningless = FILES.filter(({ path }) => MEANINGLESS_NAMES.test(basename(path).replace(/\.tsx?$/, "")));
  expect(meaningless.map(({ path }) => path)).toEqual([]);
});

test("no room holds more files side by side than a reader takes in", () => {
  const sizes = new Map<string, number>();
  for (const { path } of FILES) sizes.set(posix.dirname(path), (sizes.get(posix.dirname(path)) ?? 0) + 1);
  const crowded = [...sizes].filter(([, size]) => size > MOST_FILES_IN_A_ROOM);
  expect(crowded).toEqual([]);
});

test("no file imports itself through others, types included", () => {
  const importsOf = new Map(
    FILES.map(({ path, imports }) => [path, imports.filter(isRelative).map((specifier) => targetOf(path, specifier))]),
  );
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) circles.push([...trail.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const next of importsOf.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const { path } of FILES) visit(path, []);
  expect(circles).toEqual([]);
});

/** `[parent, from, to]`: the folders of two files below the deepest folder that has both. Loose files are no folder. */
function foldersBetween(file: string, target: string): readonly [string, string, string] | undefined {
  const [from, to] = [file.split("/").slice(0, -1), target.split("/").slice(0, -1)];
  const depth = from.findIndex((name, index) => name !== to[index]);
  const [own, other] = [from[depth], to[depth]];
  return own === undefined || other === undefined ? undefined : [from.slice(0, depth).join("/"), own, other];
}

test("no folder imports itself through its siblings, types included, at any depth", () => {
  /** By parent: the siblings that each folder reaches. */
  const reached = new Map<string, Map<string, Set<string>>>();
  for (const { path, imports } of FILES)
    for (const specifier of imports.filter(isRelative)) {
      if (isException(path, targetOf(path, specifier))) continue;
      const [parent, from, to] = foldersBetween(path, targetOf(path, specifier)) ?? [];
      if (parent === undefined || from === undefined || to === undefined) continue;
      const siblings = reached.get(parent) ?? new Map<string, Set<string>>();
      reached.set(parent, siblings.set(from, (siblings.get(from) ?? new Set()).add(to)));
    }
  const circles = [...reached].flatMap(([parent, siblings]) => {
    // A set grows while it is walked, so that it has in the end whatever is reached.
    for (const all of siblings.values())
      for (const next of all) for (const more of siblings.get(next) ?? []) all.add(more);
    const inCircle = [...siblings].filter(([name, all]) => all.has(name)).map(([name]) => name);
    return inCircle.length === 0 ? [] : [[parent, inCircle.sort()] as const];
  });
  expect(circles).toEqual([]);
});
