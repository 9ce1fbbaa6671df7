// The console's files and the document around it. The files are read once, at the start, so no request reaches the
// disk, and a path that is not in the list is absent. Vite builds them from src/operate/pages.tsx.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import type { ApiEnv } from "./calls.ts";

/** The built console. */
export interface Console {
  /** Answers with a file; undefined: there is none of this name. */
  file(context: Context<ApiEnv>, name: string): Promise<Response | undefined>;
  /** Answers with the document of every page; the program in it draws the page of the path. A trial has a link. */
  document(context: Context<ApiEnv>, isTrial: boolean): Response;
  /** The tags that load the script of the trial's page and the styles of the console. */
  readonly trialHead: string;
}

interface ConsoleFile {
  readonly bytes: Buffer<ArrayBuffer>;
  readonly mediaType: string;
  /** Made at the first request. */
  compressed?: Promise<Buffer<ArrayBuffer>>;
}

/** The same place from src/ and from dist/. */
const CONSOLE_FOLDER = new URL("../../../dist/console/", import.meta.url);
/** Vite's list of the built files. */
const LIST = "files.json";
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};
/** Such as main-B1x_9Zq2.js: another content would have another name. */
const HASHED = /-[\w-]{8,}\.\w+$/;
const TEXTS = {
  en: { lang: "en", title: "Huiyuan console", pages: "Pages", needs: "The console needs JavaScript." },
  zh: { lang: "zh-Hans", title: "回源控制台", pages: "页面", needs: "控制台需要 JavaScript。" },
};

/** Undefined if the console was not built. */
export function openConsole(folder: URL = CONSOLE_FOLDER): Console | undefined {
  if (!existsSync(new URL(LIST, folder))) return undefined;
  const read = (name: string) => readFileSync(new URL(name, folder));
  const files = new Map<string, ConsoleFile>();
  for (const name of readdirSync(folder)) {
    const mediaType = MEDIA_TYPES[extname(name)];
    if (mediaType !== undefined) files.set(name, { bytes: read(name), mediaType });
  }
  // Vite writes the list.
  const list = JSON.parse(read(LIST).toString()) as Readonly<Record<string, ListedFile>>;
  const [main, trial] = [list["pages.tsx"], list["trial/page/trial.ts"]];
  const head = headOf(main?.file, main?.css);
  return {
    async file(context, name) {
      const file = files.get(name);
      if (file === undefined) return undefined;
      context.header("Cache-Control", HASHED.test(name) ? "public, max-age=31536000, immutable" : "no-cache");
      context.header("Vary", "Accept-Encoding");
      if (!/\bgzip\b/.test(context.req.header("accept-encoding") ?? ""))
        return context.body(file.bytes, 200, { "Content-Type": file.mediaType });
      file.compressed ??= promisify(gzip)(file.bytes) as Promise<Buffer<ArrayBuffer>>;
      return context.body(await file.compressed, 200, { "Content-Type": file.mediaType, "Content-Encoding": "gzip" });
    },
    document: (context, isTrial) => context.html(documentOf(context, head, isTrial)),
    trialHead: headOf(trial?.file, main?.css),
  };
}

/** An entry of Vite's list. */
interface ListedFile {
  readonly file: string;
  readonly css?: readonly string[];
}

/** The shapes of the mark, 28 units wide and high. */
export const MARK =
  '<rect x="3" y="3" width="22" height="22" rx="5"/><rect x="10" y="10" width="8" height="8" rx="1.5"/>';
/** As a data URL: a browser asks for /favicon.ico otherwise. */
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28" fill="none" stroke="#17607a" stroke-width="2.6">' +
  `${MARK}</svg>`;

function headOf(script = "", styles: readonly string[] = []): string {
  const links = styles.map((name) => `<link rel="stylesheet" href="/console/${name}">`);
  return [...links, `<script type="module" src="/console/${script}"></script>`].join("\n");
}

function documentOf(context: Context<ApiEnv>, head: string, isTrial: boolean): string {
  const { title, pages, needs } = TEXTS[languageOf(context)];
  return `${beginDocument(context, { title, head })}<body>
<div id="console"${isTrial ? " data-trial" : ""}><nav aria-label="${pages}"></nav><main><noscript>${needs}</noscript></main></div>
</body>
</html>
`;
}

/** A document up to its body, in the language and the theme of the browser. */
export function beginDocument(
  context: Context<ApiEnv>,
  { title, head }: { readonly title: string; readonly head: string },
): string {
  const theme = getCookie(context, "huiyuan_theme");
  const chosen = theme === "light" || theme === "dark" ? ` data-theme="${theme}"` : "";
  return `<!doctype html>
<html lang="${TEXTS[languageOf(context)].lang}"${chosen}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
${head}
</head>
`;
}

export type Language = keyof typeof TEXTS;

/** The cookie's language, or the first known one of Accept-Language, whose order browsers write by preference. */
export function languageOf(context: Context<ApiEnv>): Language {
  const accepted = context.req.header("accept-language") ?? "";
  const words = [getCookie(context, "huiyuan_language") ?? "", ...accepted.split(",")];
  const known = words.map((word) => /^\s*(zh|en)\b/i.exec(word)?.[1]?.toLowerCase()).find((word) => word !== undefined);
  return known === "zh" ? "zh" : "en";
}
