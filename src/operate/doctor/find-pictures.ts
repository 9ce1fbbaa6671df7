// Examines the site of `huiyuan try` before it is mirrored: has it a private address? Then finds images on its home
// page, as for `huiyuan doctor`. It blocks nothing: the dialer does.
import { lookup } from "node:dns/promises";
import { abortable } from "../../async/cancellation.ts";
import { classifyAddress } from "../../core/addresses.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import { readVersion } from "../../core/version.ts";
import { createProbe, type Probe, type ProbeReply } from "../../serve/origin/kinds/probe.ts";
import { siteRules } from "../../serve/origin/kinds/site.ts";
import { failed } from "./finding.ts";

export interface HomePage {
  /** The keys of different images on the page, in its order, at most MAX_PICTURES. */
  readonly pictures: readonly Key[];
  /** Why the site did not answer, and what to do. An error page is an answer. */
  readonly trouble: string | undefined;
}

const DEADLINE_MS = 5_000;
const TIMEOUTS = { connect: DEADLINE_MS, firstByte: DEADLINE_MS, idle: DEADLINE_MS, total: DEADLINE_MS };
/** The most images of one page. */
export const MAX_PICTURES = 24;
const MAX_PAGE_BYTES = 2_000_000;
const MAX_PICTURE_BYTES = 20_000_000;
/** The Accept of a browser, because some sites answer no others. */
export const PAGE_HEADERS = { accept: "text/html,*/*" } as const;
/** Marks the requests of readPicture(), so that the sample site does not count them as the mirror's. */
export const DIRECT_HEADERS = { "x-huiyuan-trial": "direct" } as const;
const PROGRAM = { userAgent: `Huiyuan/${readVersion()}`, serverId: "trial" };
// Two steps without backtracking, because the page is untrusted.
const IMAGE_TAG = /<img\s[^<>]*>/gi;
const LINK_TAG = /<a\s[^<>]*>/gi;
const SOURCE = /\s(?:src|href)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;
export const IMAGE_PATH = /\.(?:jpe?g|png|gif|webp|avif|bmp)$/i;

/**
 * Searches the first 2 MB of the home page for images below `siteUrl`, for at most 5 s. `isPrivate`: its own host and
 * port may have a private address; redirect targets may not. Never throws.
 */
export async function findPictures(siteUrl: string, isPrivate: boolean): Promise<HomePage> {
  const probe = openSite(siteUrl, isPrivate, MAX_PAGE_BYTES);
  try {
    const { beginning, hops } = await probe.ask({ method: "GET", target: probe.rawTarget("/"), headers: PAGE_HEADERS });
    const pageUrl = hops.at(-1)?.url ?? siteUrl;
    return { pictures: picturesOn(beginning.toString("utf8"), pageUrl, siteUrl), trouble: undefined };
  } catch (error) {
    const failure = asHuiyuanError(error);
    return { pictures: [], trouble: [failure.message, failed(failure).means].filter(Boolean).join(". ") };
  } finally {
    void probe.close();
  }
}

function openSite(siteUrl: string, isPrivate: boolean, maxBytes: number): Probe {
  const site = { url: siteUrl, allowPrivate: isPrivate, timeouts: TIMEOUTS, ...PROGRAM };
  const bounds = { maxBytes, maxTotalBytes: maxBytes, keptBytes: maxBytes, signal: new AbortController().signal };
  return createProbe({ ...site, ...bounds }, siteRules(site));
}

/** Asks the site itself for one picture, of at most 20 MB, for at most 5 s. Undefined if it does not answer. */
export async function readPicture(siteUrl: string, isPrivate: boolean, key: Key): Promise<ProbeReply | undefined> {
  const probe = openSite(siteUrl, isPrivate, MAX_PICTURE_BYTES);
  try {
    return await probe.ask({ method: "GET", target: probe.target(key, ""), headers: DIRECT_HEADERS });
  } catch {
    return undefined; // The page says that there is no answer.
  } finally {
    void probe.close();
  }
}

/**
 * The first `most` different images with an image path below the base of the site and without a query: each `<img>`,
 * then each target of a link. A home page that was redirected to another host, such as `www.`, may name its images
 * there. Pure.
 */
export function picturesOn(page: string, pageUrl: string, siteUrl: string, most = MAX_PICTURES): readonly Key[] {
  const base = new URL(`${siteUrl}/`);
  const hosts = [base.host, new URL(pageUrl).host];
  const keys = new Set<Key>();
  for (const [tag] of [IMAGE_TAG, LINK_TAG].flatMap((tags) => [...page.matchAll(tags)])) {
    const [, doubled, single, bare] = SOURCE.exec(tag) ?? [];
    const source = (doubled ?? single ?? bare ?? "").replaceAll("&amp;", "&");
    const url = URL.canParse(source, pageUrl) ? new URL(source, pageUrl) : undefined;
    if (url === undefined || !hosts.includes(url.host) || url.search !== "") continue;
    if (!url.pathname.startsWith(base.pathname) || !IMAGE_PATH.test(url.pathname)) continue;
    try {
      keys.add(toKey(decodeURIComponent(url.pathname.slice(base.pathname.length))));
    } catch {} // Not UTF-8, or not a key: try the next one.
    if (keys.size >= most) break;
  }
  return [...keys];
}

const LOOKUP_MS = 3_000;

/** Whether the host of `url` is or has a private address. False if it is not resolved within 3 s. Never throws. */
export async function isPrivateOrigin(url: string): Promise<boolean> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  try {
    const addresses = await abortable(lookup(host, { all: true }), AbortSignal.timeout(LOOKUP_MS));
    return addresses.some(({ address }) => classifyAddress(address) === "private");
  } catch {
    return false; // The first request reports why.
  }
}
