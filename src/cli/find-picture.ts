// Finds one image on the home page of a site that somebody wants to try the mirror with. A guess that may fail: then
// the trial runs all the same and only has no example to show.
import { type Key, toKey } from "../object.ts";
import { describeTrouble } from "./named-origin.ts";

export interface HomePage {
  /** The key of an image below the site's base that the page shows. */
  readonly picture: Key | undefined;
  /** Why the site did not answer, as describeTrouble() says it. A page that is an error is an answer. */
  readonly trouble: string | undefined;
}

const DEADLINE_MS = 5_000;
const MAX_PAGE_CHARACTERS = 500_000;
// Two steps, neither of which can look at a character again and again: a page may be anything.
const IMAGE_TAG = /<img\s[^<>]*>/gi;
const SOURCE = /\ssrc\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;
const IMAGE_PATH = /\.(?:jpe?g|png|gif|webp|avif|bmp)$/i;

/** Looks for an image below `siteUrl` on its home page, for 5 s at most. Never throws. */
export async function findPicture(siteUrl: string): Promise<HomePage> {
  try {
    const response = await fetch(`${siteUrl}/`, { signal: AbortSignal.timeout(DEADLINE_MS) });
    return { picture: pictureOn(await readStart(response), response.url, siteUrl), trouble: undefined };
  } catch (error) {
    return { picture: undefined, trouble: describeTrouble(error, siteUrl) };
  }
}

/** The page's first characters as UTF-8; the rest is not waited for. */
async function readStart(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let page = "";
  // Leaving the loop cancels the body.
  for await (const chunk of response.body ?? []) {
    page += decoder.decode(chunk, { stream: true });
    if (page.length >= MAX_PAGE_CHARACTERS) break;
  }
  return page.slice(0, MAX_PAGE_CHARACTERS);
}

/** Pure. The first `<img>` of the page whose path names an image below the site's base and whose URL has no query. */
export function pictureOn(page: string, pageUrl: string, siteUrl: string): Key | undefined {
  const base = new URL(`${siteUrl}/`);
  for (const [tag] of page.matchAll(IMAGE_TAG)) {
    const [, doubled, single, bare] = SOURCE.exec(tag) ?? [];
    const source = (doubled ?? single ?? bare ?? "").replaceAll("&amp;", "&");
    const url = URL.canParse(source, pageUrl) ? new URL(source, pageUrl) : undefined;
    if (url === undefined || url.host !== base.host || url.search !== "") continue;
    if (!url.pathname.startsWith(base.pathname) || !IMAGE_PATH.test(url.pathname)) continue;
    try {
      return toKey(decodeURIComponent(url.pathname.slice(base.pathname.length)));
    } catch {} // Not UTF-8, or no key: the next one.
  }
  return undefined;
}
