// The request targets of one fetch, server and path: the configured origin, then the redirects that are followed. It
// also decides which headers are sent along. Pure; the dialer checks every hop as well.

import { isForbiddenPort } from "../../core/addresses.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { Endpoint } from "../dial/connect.ts";

/** The configured origin. */
export interface Home {
  readonly isSecure: boolean;
  /** As in a URL: lower case, IPv6 in brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Path before the key: empty, or with a leading and without a trailing slash. */
  readonly basePath: string;
}

/** One step of a fetch: the configured origin, or the target of a redirect. */
export interface Hop {
  readonly isSecure: boolean;
  /** As in a URL: lower case, IPv6 in brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Path and query, percent-encoded, as sent. */
  readonly target: string;
  /** True while every hop stayed on the configured host: it gets the configured Host, Referer and headers. */
  readonly isHome: boolean;
}

/** Throws settings_invalid: not an http(s) URL, userinfo, query or fragment in it, or a port that is never dialled. */
export function parseHome(text: string): Home {
  const fail = (found: string): never => {
    throw new HuiyuanError("settings_invalid", `Cannot use ${JSON.stringify(text)} as an origin: ${found}`);
  };
  if (!URL.canParse(text)) return fail("it is not a URL");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") return fail("it is neither http nor https");
  if (url.username !== "" || url.password !== "")
    return fail("it contains a user name, credentials belong into headers");
  if (url.search !== "" || url.hash !== "") return fail("it has a query or a fragment");
  const port = portOf(url);
  if (isForbiddenPort(port)) return fail(`port ${port} is never dialled`);
  return {
    isSecure: url.protocol === "https:",
    hostname: url.hostname,
    port,
    basePath: url.pathname.replace(/\/+$/, ""),
  };
}

/** Returns the port of an http or https URL; the scheme's default if none is written. */
export function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

/** Makes the first hop of a fetch. `target`: path and query, percent-encoded. */
export function homeHop({ isSecure, hostname, port }: Home, target: string): Hop {
  return { isSecure, hostname, port, target, isHome: true };
}

/**
 * Returns the path of a key below the home's own. By concatenation, because URL resolution would collapse `//` and
 * interpret `?`.
 */
export function keyPath(home: Home, key: Key): string {
  return `${home.basePath}/${encodeKey(key)}`;
}

const PLAIN_KEY = /^[A-Za-z0-9\-._~!$&'()*,;=:@/]*$/;
const KEPT_IN_PATHS = /%(?:2F|24|26|2C|3B|3D|3A|40)/g;

/**
 * Encodes a key as a URL path: unreserved characters, `/` and `!$&'()*,;=:@` stay; every other byte of its UTF-8
 * becomes `%XX`. `+` becomes `%2B`, because some servers read a plus in a path as a space, and none misreads `%2B`.
 */
export function encodeKey(key: Key): string {
  if (PLAIN_KEY.test(key)) return key;
  return encodeURIComponent(key).replace(KEPT_IN_PATHS, decodeURIComponent);
}

/** Returns the URL of a hop for provenance and logs: no query, no userinfo. */
export function hopUrl(hop: Hop): string {
  return hopOrigin(hop) + (hop.target.split("?", 1)[0] ?? "");
}

/** Returns `scheme://host`, with the port if it is not the scheme's default. */
export function hopOrigin(hop: Pick<Hop, "isSecure" | "hostname" | "port">): string {
  const port = hop.port === (hop.isSecure ? 443 : 80) ? "" : `:${hop.port}`;
  return `${hop.isSecure ? "https" : "http"}://${hop.hostname}${port}`;
}

/** Returns the server to dial for a hop. `tlsName`: the name for TLS if the home's host is a literal address. */
export function hopEndpoint({ isSecure, hostname: name, port, isHome }: Hop, tlsName: string | undefined): Endpoint {
  const hostname = name.startsWith("[") ? name.slice(1, -1) : name;
  return { isSecure, hostname, port, servername: isHome ? tlsName : undefined };
}

/** The most redirects of one fetch. */
const MAX_REDIRECTS = 5;

/** Statuses with a new URL for a GET or HEAD (RFC 9110 §15.4); the method stays. */
export const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Returns the target of a redirect of the last of `hops` (all so far, in order). Throws origin_redirect: no Location or
 * a bad one, a scheme other than http and https, https → http, userinfo, a port that is never dialled, a URL already
 * visited, over five hops. Throws origin_blocked: a foreign host redirects back to a private origin.
 */
export function nextHop(
  hops: readonly Hop[],
  location: string | undefined,
  home: { readonly isPrivate: boolean; readonly hop: Hop },
): Hop {
  const from = hops.at(-1) ?? home.hop;
  const fail = (found: string): never => {
    throw new HuiyuanError("origin_redirect", `Cannot follow the redirect of "${hopUrl(from)}": ${found}`);
  };
  if (hops.length > MAX_REDIRECTS) return fail(`it is the ${hops.length}th, the limit is ${MAX_REDIRECTS}`);
  if (location === undefined) return fail("it has no Location");
  const url = resolve(location, from);
  if (url === undefined) return fail("its Location is not a URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") return fail(`it leads to ${url.protocol}`);
  const isSecure = url.protocol === "https:";
  if (from.isSecure && !isSecure) return fail("it leads from https to http");
  if (url.username !== "" || url.password !== "") return fail("its Location contains a user name");
  const port = portOf(url);
  if (isForbiddenPort(port)) return fail(`it leads to port ${port}`);
  const place = { isSecure, hostname: url.hostname, port };
  const hop: Hop = { ...place, target: url.pathname + url.search, isHome: from.isHome && isSamePlace(home.hop, place) };
  if (hops.some((earlier) => addressOf(earlier) === addressOf(hop))) return fail("it leads back to where it came from");
  // A foreign host would choose its path, and the guard allows the configured host and port.
  if (home.isPrivate && !from.isHome && sameHost(hop.hostname, home.hop.hostname) && port === home.hop.port) {
    throw new HuiyuanError(
      "origin_blocked",
      `Cannot follow the redirect of "${hopUrl(from)}": a foreign host redirects to the private origin`,
    );
  }
  return hop;
}

function resolve(location: string, from: Hop): URL | undefined {
  // Header values are Latin-1; a Location with bytes above ASCII is UTF-8 in practice.
  const text = Buffer.from(location, "latin1").toString("utf8");
  const base = hopOrigin(from) + from.target;
  return URL.canParse(text, base) ? new URL(text, base) : undefined;
}

/**
 * True for the same host and port, or the same host from http to https on the default ports: the operator's Host and
 * headers still fit.
 */
function isSamePlace(home: Hop, place: Pick<Hop, "isSecure" | "hostname" | "port">): boolean {
  if (!sameHost(home.hostname, place.hostname)) return false;
  if (home.port === place.port) return home.isSecure === place.isSecure;
  return home.port === 80 && place.port === 443 && place.isSecure;
}

/** `example.com.` and `example.com` are one host. */
export function sameHost(one: string, other: string): boolean {
  return one.replace(/\.$/, "") === other.replace(/\.$/, "");
}

function addressOf(hop: Hop): string {
  return hopOrigin(hop) + hop.target;
}
