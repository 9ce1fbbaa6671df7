// The sample origin of `huiyuan try`: a small picture site on loopback. Its page can stop it, to show that the mirror
// still serves the pictures. It knows only the mirror's URLs.
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { answerText, beginPage, type PageServer, startPageServer } from "./page-server.ts";
import { renderSamplePage, type SiteState, totalOf } from "./sample-page.ts";
import type { SamplePicture } from "./sample-pictures.ts";
import { timedRequest, waitUntilStored } from "./timed-request.ts";

export interface SampleSiteOptions {
  readonly pictures: readonly SamplePicture[];
  /** Absolute URL of a picture at the mirror. Called for each page view, so the mirror may start later. */
  readonly mirrorUrl: (name: string) => string;
  /** Delay before each picture's answer, like a distant origin. Milliseconds; 0 is none. */
  readonly delayMs: number;
}

const PICTURES_PATH = "/images/";
/** The longest wait of a stop for pictures that the mirror does not have yet. */
const STORE_MS = 20_000;
/** From the last byte of a picture until the mirror has stored it, at most. */
const STORED_MS = 3_000;

/** The gallery is at `/`, a picture at `/images/<encoded name>`. Listens on any free port of this machine. */
export function startSampleSite(options: SampleSiteOptions): Promise<PageServer> {
  return startPageServer((closing) => createHandler(options, closing));
}

function createHandler(options: SampleSiteOptions, closing: AbortSignal) {
  const pictures = new Map(options.pictures.map((picture) => [picture.name, withEtag(picture)]));
  // Requests for existing pictures, also those that are refused while stopped. By their names alone: it cannot grow.
  const requests = new Map<string, number>();
  let state: SiteState = "serving";
  // The pictures that the mirror had at the last stop.
  const stored = new Set<string>();
  let storing: Promise<void> | undefined;
  let visit = 0;

  async function answerPicture(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    const picture = pictures.get(name);
    if (picture === undefined) return answerText(response, 404, "no such picture");
    requests.set(name, (requests.get(name) ?? 0) + 1);
    if (options.delayMs > 0) await delay(options.delayMs, undefined, { ref: false });
    if (state === "stopped") return answerText(response, 503, "this site has stopped serving its pictures");
    const { etag, bytes, mediaType } = picture;
    const validators = { ETag: etag, "Last-Modified": LAST_MODIFIED, "Cache-Control": "public, max-age=3600" };
    const isNew = request.headers["if-none-match"] !== etag;
    const entity = { "Content-Type": mediaType, "Content-Length": bytes.length };
    response.writeHead(isNew ? 200 : 304, { ...validators, ...(isNew && entity) });
    response.end(request.method === "HEAD" || !isNew ? undefined : bytes);
  }

  function answerPage(response: ServerResponse): void {
    visit += 1;
    const nonce = beginPage(response);
    response.end(renderSamplePage({ ...options, requests, state, stored: stored.size, visit, nonce }));
  }

  function answerState(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    const counts = { stored: stored.size, total: totalOf(requests), requests: Object.fromEntries(requests) };
    response.end(JSON.stringify({ state, ...counts }));
  }

  /** Has the mirror fetch and store every picture, within STORE_MS. The pictures that it has then are in `stored`. */
  async function storeAll(): Promise<void> {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(STORE_MS)]);
    stored.clear();
    await Promise.all(
      options.pictures.map(async ({ name }) => {
        const url = options.mirrorUrl(name);
        const answer = await timedRequest(url, signal).catch(() => undefined); // the mirror lacks it then
        if (answer?.isWhole && (await waitUntilStored(url, STORED_MS))) stored.add(name);
      }),
    );
  }

  const isStopped = () => state === "stopped";

  async function stop(): Promise<void> {
    if (isStopped()) return;
    // Shared, because a second press of the button must not count anew.
    storing ??= storeAll().finally(() => {
      storing = undefined;
    });
    await storing;
    // “Stop anyway” may have been pressed meanwhile.
    if (!isStopped()) state = stored.size === pictures.size ? "stopped" : "incomplete";
  }

  const switches: Readonly<Record<string, () => void | Promise<void>>> = {
    "/stop-serving": stop,
    "/stop-anyway": () => {
      if (state === "incomplete") state = "stopped";
    },
    "/resume-serving": () => {
      state = "serving";
    },
  };

  async function answerSwitch(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (request.method !== "POST") return answerText(response, 405, "use POST", { Allow: "POST" });
    if (!isSameOrigin(request)) return answerText(response, 403, "only the site's own page may use this button");
    await switches[path]?.();
    response.writeHead(303, { Location: "/" }).end();
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const path = decodePath(request.url ?? "/") ?? "";
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (Object.hasOwn(switches, path)) await answerSwitch(request, response, path);
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
