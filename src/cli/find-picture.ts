// Examines the site of `huiyuan try` before it is mirrored: does its name resolve, and to a private address? Then finds
// one image on its home page, as for `huiyuan doctor`. It blocks nothing: the dialer does.

import { lookup } from "node:dns/promises";
import { abortable } from "../async/cancellation.ts";
import { classifyAddress } from "../core/addresses.ts";
import { type Key, toKey } from "../core/object.ts";
import { readVersion } from "../core/version.ts";
import { createProbe } from "../origin/kinds/probe.ts";
import { siteRules } from "../origin/kinds/site.ts";

export interface HomePage {
  /** The key of an image on the page, below the base of the site. */
  readonly picture: Key | undefined;
  /** Why the site did not answer, by describeTrouble(). An error page is an answer. */
  readonly trouble: string | undefined;
}

const DEADLINE_MS = 5_000;
const TIMEOUTS = { connect: DEADLINE_MS, firstByte: DEADLINE_MS, idle: DEADLINE_MS, total: DEADLINE_MS };
const MAX_PAGE_BYTES = 500_000;
const PROGRAM = { userAgent: `Huiyuan/${readVersion()}`, serverId: "trial" };
// Two steps without backtracking, because the page is untrusted.
const IMAGE_TAG = /<img\s[^<>]*>/gi;
const SOURCE = /\ssrc\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;
const IMAGE_PATH = /\.(?:jpe?g|png|gif|webp|avif|bmp)$/i;

/**
 * Searches the home page for an image below `siteUrl`, for at most 5 s. `isPrivate`: its own host and port may have a
 * private address; redirect targets may not. Never throws.
 */
export async function findPicture(siteUrl: string, isPrivate: boolean): Promise<HomePage> {
  const site = { url: siteUrl, allowPrivate: isPrivate, timeouts: TIMEOUTS, ...PROGRAM };
  const bounds = { maxBytes: MAX_PAGE_BYTES, maxTotalBytes: MAX_PAGE_BYTES, signal: new AbortController().signal };
  const probe = createProbe({ ...site, ...bounds }, siteRules(site));
  try {
    const { beginning, hops } = await probe.ask({ method: "GET", target: probe.rawTarget("/") });
    const pageUrl = hops.at(-1)?.url ?? siteUrl;
    return { picture: pictureOn(beginning.toString("utf8"), pageUrl, siteUrl), trouble: undefined };
  } catch (error) {
    return { picture: undefined, trouble: describeTrouble(error, siteUrl) };
  } finally {
    void probe.close();
  }
}

/** The first `<img>` with an image path below the base of the site and without a query. Pure. */
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
    } catch {} // Not UTF-8, or not a key: try the next one.
  }
  return undefined;
}

export interface NamedOrigin {
  /** Its host is, or resolves to, a loopback or private address. */
  readonly isPrivate: boolean;
  /** Why its name has no usable address, by describeTrouble(); undefined if it has one. */
  readonly trouble: string | undefined;
}

const LOOKUP_MS = 3_000;

/** Resolves the host of `url`, for at most 3 s. Never throws. */
export async function inspectOrigin(url: string): Promise<NamedOrigin> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  try {
    const addresses = await abortable(lookup(host, { all: true }), AbortSignal.timeout(LOOKUP_MS));
    const classes = addresses.map(({ address }) => classifyAddress(address));
    const isAllowed = classes.some((name) => name !== "forbidden");
    return {
      isPrivate: classes.includes("private"),
      trouble: isAllowed ? undefined : `the address of ${host} is never allowed for an origin`,
    };
  } catch (error) {
    return { isPrivate: false, trouble: describeTrouble(error, url) };
  }
}

/** Describes a failed lookup or fetch of `url` in plain words, as a clause. */
export function describeTrouble(error: unknown, url: string): string {
  const { hostname, host } = new URL(url);
  const codes = codesOf(error);
  const has = (...wanted: readonly string[]) => wanted.some((code) => codes.includes(code));
  if (has("origin_blocked")) return `${host} has an address that is never allowed for an origin`;
  if (has("ENOTFOUND")) return `the name ${hostname} does not exist`;
  if (has("EAI_AGAIN")) return `the name ${hostname} cannot be resolved: no name server answers`;
  if (has("ECONNREFUSED")) return `${host} refuses connections: nothing listens there`;
  if (has("TimeoutError", "ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "origin_timeout"))
    return `${host} did not answer in time`;
  if (has("EHOSTUNREACH", "ENETUNREACH")) return `${host} cannot be reached from this network`;
  if (has("ECONNRESET", "UND_ERR_SOCKET", "origin_reset")) return `${host} closed the connection without an answer`;
  return `${host} cannot be reached (${codes.at(-1) ?? "unknown reason"})`;
}

/** Codes and names of the error and its causes, because fetch() wraps system errors. */
function codesOf(error: unknown): readonly string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error && codes.length < 10; at = at.cause) {
    codes.push(at.name);
    if ("code" in at && typeof at.code === "string") codes.push(at.code);
  }
  return codes;
}
