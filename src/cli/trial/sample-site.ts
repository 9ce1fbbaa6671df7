// The sample origin of `huiyuan try`: a small picture site on loopback. Its page can stop it, to show that the mirror
// still serves the pictures. It knows only the mirror's URLs.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { renderSamplePage, totalOf } from "./sample-page.ts";
import type { SamplePicture } from "./sample-pictures.ts";

export interface SampleSiteOptions {
  readonly pictures: readonly SamplePicture[];
  /** Absolute URL of a picture at the mirror. Called for each page view, so the mirror may start later. */
  readonly mirrorUrl: (name: string) => string;
  /** Delay before each picture's answer, like a distant origin. Milliseconds; 0 is none. */
  readonly delayMs: number;
}

export interface SampleSite {
  /** `http://127.0.0.1:port`, without a final slash. The gallery is at `/`, a picture at `/images/<encoded name>`. */
  readonly url: string;
  /** Closes open connections; resolves when the port is free. */
  close(): Promise<void>;
}

const PICTURES_PATH = "/images/";

/** Listens on any free port of this machine. */
export async function startSampleSite(options: SampleSiteOptions): Promise<SampleSite> {
  const closing = new AbortController();
  const answer = createHandler(options, closing.signal);
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy()); // the client left, or the site is closing
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 20_000;
  server.maxConnections = 512;
  await once(server.listen(0, "127.0.0.1"), "listening"); // an error rejects it
  const { port } = server.address() as AddressInfo; // a TCP listener's address is never a string
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function createHandler(options: SampleSiteOptions, closing: AbortSignal) {
  const pictures = new Map(options.pictures.map((picture) => [picture.name, withEtag(picture)]));
  // Requests for existing pictures, also those that are refused while stopped. By their names alone: it cannot grow.
  const requests = new Map<string, number>();
  let isServing = true;
  let visit = 0;

  async function answerPicture(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    const picture = pictures.get(name);
    if (picture === undefined) return answerText(response, 404, "no such picture");
    requests.set(name, (requests.get(name) ?? 0) + 1);
    if (options.delayMs > 0) await delay(options.delayMs, undefined, { signal: closing });
    if (!isServing) return answerText(response, 503, "this site has stopped serving its pictures");
    const { etag, bytes, mediaType } = picture;
    const validators = { ETag: etag, "Last-Modified": LAST_MODIFIED, "Cache-Control": "public, max-age=3600" };
    const isNew = request.headers["if-none-match"] !== etag;
    const entity = { "Content-Type": mediaType, "Content-Length": bytes.length };
    response.writeHead(isNew ? 200 : 304, { ...validators, ...(isNew && entity) });
    response.end(request.method === "HEAD" || !isNew ? undefined : bytes);
  }

  function answerPage(response: ServerResponse): void {
    visit += 1;
    const nonce = randomBytes(16).toString("base64url");
    const page = renderSamplePage({ ...options, requests, isServing, visit, nonce });
    response.writeHead(200, {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      "Content-Security-Policy": `default-src 'none'; img-src http: https: data:; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      "X-Content-Type-Options": "nosniff",
    });
    response.end(page);
  }

  function answerState(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify({ isServing, total: totalOf(requests), requests: Object.fromEntries(requests) }));
  }

  function answerSwitch(request: IncomingMessage, response: ServerResponse, serving: boolean): void {
    if (request.method !== "POST") answerText(response, 405, "use POST", { Allow: "POST" });
    else if (!isSameOrigin(request)) answerText(response, 403, "only the site's own page may use this button");
    else {
      isServing = serving;
      response.writeHead(303, { Location: "/" }).end();
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const path = decodePath(request.url ?? "/") ?? "";
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (path === "/stop-serving") answerSwitch(request, response, false);
    else if (path === "/resume-serving") answerSwitch(request, response, true);
    else if (!isRead) answerText(response, 405, "only GET and HEAD", { Allow: "GET, HEAD" });
    else if (path === "/") answerPage(response);
    else if (path === "/state") answerState(response);
    else if (path.startsWith(PICTURES_PATH)) await answerPicture(request, response, path.slice(PICTURES_PATH.length));
    else answerText(response, 404, "nothing here");
  }

  return answer;
}

// A fixed date, because the pictures are the same on every run.
const LAST_MODIFIED = "Wed, 15 Jul 2015 08:00:00 GMT";

function withEtag(picture: SamplePicture): SamplePicture & { readonly etag: string } {
  const digest = createHash("sha256").update(picture.bytes).digest("hex");
  return { ...picture, etag: `"${digest.slice(0, 16)}"` };
}

/** The path without its query, decoded once; undefined if it is not valid percent-encoded UTF-8. */
function decodePath(target: string): string | undefined {
  try {
    return decodeURIComponent(target.split("?", 1)[0] ?? "");
  } catch {
    return undefined; // such as `%zz`: no page has this name
  }
}

/** False if the browser names another site as the origin of the request. */
function isSameOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  return origin === undefined || origin === `http://${host}`;
}

function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" });
  response.end(`${text}\n`);
}
