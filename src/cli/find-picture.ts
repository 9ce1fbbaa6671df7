// Finds one image on the home page of a site that somebody wants to try the mirror with. A guess that may fail: then
// the trial runs all the same and only has no example to show.
import { type Key, toKey } from "../object.ts";

const DEADLINE_MS = 5_000;
const MAX_PAGE_CHARACTERS = 500_000;
const SOURCES = /<img\b[^>]*?\bsrc\s*=\s*["']?([^"'\s>]+)/gi;
const IMAGE_PATH = /\.(?:jpe?g|png|gif|webp|avif|bmp)$/i;

/** The key of an image below `siteUrl` that its home page shows; undefined when none is found in time. */
export async function findPicture(siteUrl: string): Promise<Key | undefined> {
  try {
    const response = await fetch(`${siteUrl}/`, { signal: AbortSignal.timeout(DEADLINE_MS) });
    const page = (await response.text()).slice(0, MAX_PAGE_CHARACTERS);
    return pictureOn(page, response.url, siteUrl);
  } catch {
    return undefined; // Not reachable now: the first request will say so in its own words.
  }
}

/** Pure. The first `<img>` of the page whose path names an image below the site's base and whose URL has no query. */
export function pictureOn(page: string, pageUrl: string, siteUrl: string): Key | undefined {
  const base = new URL(`${siteUrl}/`);
  for (const [, source = ""] of page.matchAll(SOURCES)) {
    const url = URL.canParse(source, pageUrl) ? new URL(source, pageUrl) : undefined;
    if (url === undefined || url.host !== base.host || url.search !== "") continue;
    if (!url.pathname.startsWith(base.pathname) || !IMAGE_PATH.test(url.pathname)) continue;
    try {
      return toKey(decodeURIComponent(url.pathname.slice(base.pathname.length)));
    } catch {} // Not UTF-8, or no key: the next one.
  }
  return undefined;
}
