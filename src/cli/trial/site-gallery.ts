// The gallery of `huiyuan try https://your.site`: a page on loopback that shows pictures of that site from the mirror.
// It requests each from the mirror itself, to measure it. It never asks the site.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSemaphore } from "../../async/semaphore.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { MAX_PICTURES } from "../../doctor/find-pictures.ts";
import { readSample } from "../../doctor/samples.ts";
import { answerText, beginPage, type PageServer, startPageServer } from "./page-server.ts";
import { type MeasuredPicture, renderSiteEnd, renderSitePicture, renderSiteStart } from "./site-page.ts";
import { isFetched, timedRequest } from "./timed-request.ts";

export interface SiteGalleryOptions {
  readonly siteUrl: string;
  /** Why the site's home page did not answer. */
  readonly trouble: string | undefined;
  /** Found on the home page, at most MAX_PICTURES. */
  readonly pictures: readonly Key[];
  /** Absolute URL of a picture at the mirror. */
  readonly mirrorUrl: (picture: Key) => string;
  /** Durations of fetches before the start, in milliseconds. */
  readonly fetchedMs: ReadonlyMap<Key, number>;
  /** For one picture; 60 s by default. Milliseconds. */
  readonly deadlineMs?: number;
}

/** As a browser does with one host. */
const REQUESTS_AT_A_TIME = 6;

/** The page is at `/`; `?picture=` adds one picture to it. Listens on any free port of this machine. */
export function startSiteGallery(options: SiteGalleryOptions): Promise<PageServer> {
  const { siteUrl, trouble, pictures, mirrorUrl, deadlineMs = 60_000 } = options;
  // By the pictures of the home page alone: it cannot grow.
  const fetchedMs = new Map(options.fetchedMs);

  async function measure(picture: Key, left: AbortSignal): Promise<MeasuredPicture> {
    const url = mirrorUrl(picture);
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = AbortSignal.any([left, deadline]);
    const answer = await timedRequest(url, signal).catch(() => undefined); // the page says so
    if (isFetched(answer) && pictures.includes(picture)) fetchedMs.set(picture, answer.milliseconds);
    return { name: picture, url, answer, isLate: deadline.aborted, fetchedMs: fetchedMs.get(picture) };
  }

  async function answerPage(response: ServerResponse, wanted: string): Promise<void> {
    const left = new AbortController();
    response.once("close", () => left.abort());
    const { picture, problem } = readWanted(wanted, siteUrl);
    const shown = [...new Set([...(picture === undefined ? [] : [picture]), ...pictures])].slice(0, MAX_PICTURES);
    const nonce = beginPage(response);
    response.write(renderSiteStart({ siteUrl, trouble, found: pictures.length, wanted, problem, nonce }));
    const known = new Map<Key, MeasuredPicture>();
    // Alone, so that nothing else slows a hit.
    for (const next of shown) if (fetchedMs.has(next)) known.set(next, await measure(next, left.signal));
    const places = createSemaphore(REQUESTS_AT_A_TIME);
    const measuring = shown.map(async (next) => {
      const release = await places.acquire(undefined);
      return Promise.resolve(known.get(next) ?? measure(next, left.signal)).finally(release);
    });
    const measured: MeasuredPicture[] = [];
    for (const next of measuring) {
      const picture = await next;
      if (left.signal.aborted) return;
      measured.push(picture);
      response.write(renderSitePicture(picture));
    }
    response.end(renderSiteEnd(measured, siteUrl));
  }

  return startPageServer(() => async (request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    const target = request.url ?? "/";
    const { pathname, searchParams } = new URL(URL.canParse(target, siteUrl) ? target : "/", siteUrl);
    if (request.method !== "GET" && request.method !== "HEAD")
      answerText(response, 405, "only GET and HEAD", { Allow: "GET, HEAD" });
    else if (pathname === "/") await answerPage(response, searchParams.get("picture")?.trim() ?? "");
    else answerText(response, 404, "nothing here");
  });
}

/** The picture that the text of the form names, or why it names none. */
function readWanted(text: string, siteUrl: string): { readonly picture?: Key; readonly problem?: string } {
  if (text === "") return {};
  try {
    const sample = readSample(text, siteUrl);
    if (sample.kind === "gbk") return { problem: "This path is not UTF-8: the mirror has no such picture." };
    if (sample.query === "") return { picture: sample.path };
    return { problem: "This page shows pictures without a query: remove the question mark and the rest." };
  } catch (error) {
    return { problem: `${asHuiyuanError(error).message}. For another site: npm start -- https://that.site` };
  }
}
