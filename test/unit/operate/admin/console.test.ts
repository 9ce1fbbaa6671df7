// The files and the document of a built console, from a folder as Vite writes it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Hono } from "hono";
import { afterAll, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { createAdminApp } from "../../../../src/operate/admin/app.ts";
import type { ApiEnv } from "../../../../src/operate/admin/calls.ts";
import { openConsole } from "../../../../src/operate/admin/console.ts";
import { startServer } from "../../../../src/serve/http/wire/server.ts";
import { sendRaw } from "../../../helpers/raw.ts";

const folder = mkdtempSync(join(tmpdir(), "huiyuan-console-"));
const SCRIPT = `console.log("${"a".repeat(2_000)}");`;
writeFileSync(join(folder, "main-B1x_9Zq2.js"), SCRIPT);
writeFileSync(join(folder, "main-Ab34_-x9.css"), "a{}");
writeFileSync(join(folder, "plain.js"), "1;");
writeFileSync(join(folder, "notes.txt"), "a secret");
const list = { "pages.tsx": { file: "main-B1x_9Zq2.js", isEntry: true, css: ["main-Ab34_-x9.css"] } };
writeFileSync(join(folder, "files.json"), JSON.stringify(list));

const server = await startServer({
  ...{ host: "127.0.0.1", port: 0, nextRequestId: () => "id" },
  listener: createAdminApp({
    access: { guard: (_, next) => next(), recognize: (_, next) => next() },
    allowedHosts: () => undefined,
    console: openConsole(pathToFileURL(`${folder}/`)),
    readiness: async () => ({ isReady: true, notes: [] }),
    metrics: async () => ({ mediaType: "text/plain", text: "" }),
    api: new Hono<ApiEnv>(),
    ...{ nextRequestId: () => "id", version: "1", log: SILENT_LOG },
  }),
});
afterAll(async () => {
  await server.stop(0);
  rmSync(folder, { recursive: true });
});

const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`http://127.0.0.1:${server.port}${path}`, { headers });

test.each([
  ["main-B1x_9Zq2.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"],
  ["main-Ab34_-x9.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"],
  ["plain.js", "text/javascript; charset=utf-8", "no-cache"],
])("%s has its type, and %s its lifetime", async (name, mediaType, lifetime) => {
  const { status, headers } = await ask(`/console/${name}`);
  expect([status, headers.get("content-type"), headers.get("cache-control")]).toEqual([200, mediaType, lifetime]);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
});

test("a file is compressed if the browser takes it", async () => {
  const raw = await sendRaw(
    server.port,
    "GET /console/main-B1x_9Zq2.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip\r\nConnection: close\r\n\r\n",
  );
  expect(raw.head).toMatch(/content-encoding: gzip/i);
  const answer = await ask("/console/main-B1x_9Zq2.js", { "accept-encoding": "gzip" });
  expect(await answer.text()).toBe(SCRIPT);
});

test.each(["files.json", "notes.txt", "..%2Fpackage.json", "%2e%2e/%2e%2e/etc/passwd", "none.js", "constructor", ""])(
  "/console/%s is absent",
  async (name) => {
    const { status, headers } = await ask(`/console/${name}`);
    expect([status, headers.get("content-type")]).toEqual([404, "application/json"]);
  },
);

test("the document has landmarks, and loads the script and the style of the build", async () => {
  const answer = await ask("/");
  const text = await answer.text();
  expect(answer.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  for (const part of [
    "<nav aria-label=",
    "<main>",
    'src="/console/main-B1x_9Zq2.js"',
    'href="/console/main-Ab34_-x9.css"',
  ])
    expect(text).toContain(part);
  // The policy allows neither.
  expect(text).not.toMatch(/<style|style=|<script>| on\w+=/);
});

test.each([
  ["English without a wish", {}, 'lang="en"'],
  ["Chinese by Accept-Language", { "accept-language": "zh-CN,zh;q=0.9,en;q=0.8" }, 'lang="zh-Hans"'],
  ["the first known language", { "accept-language": "fr,en;q=0.8,zh;q=0.7" }, 'lang="en"'],
  ["the cookie first", { "accept-language": "en", cookie: "huiyuan_language=zh" }, 'lang="zh-Hans"'],
  ["a dark theme", { cookie: "huiyuan_theme=dark" }, 'data-theme="dark"'],
  ["a light theme", { cookie: "huiyuan_theme=light" }, 'data-theme="light"'],
])("the document has %s", async (_what, headers, part) => {
  expect(await (await ask("/", headers)).text()).toContain(part);
});

test("an unknown theme or language of a cookie never reaches the document", async () => {
  const cookie = 'huiyuan_theme="><script>; huiyuan_language="><script>';
  const text = await (await ask("/", { cookie })).text();
  expect(text).not.toContain("data-theme");
  expect(text).not.toContain('"><script>');
});

test("every page of the console has the document, and calls and wrong paths do not", async () => {
  const html = { accept: "text/html,*/*;q=0.8" };
  for (const path of ["/images", "/buckets/10001234/photos"]) expect((await ask(path, html)).status).toBe(200);
  for (const path of ["/api/v1/none", "/images"]) expect((await ask(path)).status).toBe(404);
  expect((await ask("/healthz", html)).headers.get("content-type")).toContain("json");
});

test("openConsole() is undefined without a build", () => {
  expect(openConsole(new URL("none/", pathToFileURL(`${folder}/`)))).toBeUndefined();
});
