// The request targets of one fetch, server and path: the configured origin, then the redirects that are followed. It
// also decides which headers are sent along. Pure; the dialer checks every hop as well.

import { isForbiddenPort } from "../../../core/addresses.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { Endpoint } from "../dial/connect.ts";

/** A server that requests are sent to. */
interface Server {
  /** The server to dial; its host is in lower case. */
  readonly endpoint: Endpoint;
  /** `scheme://host`, with the port if it is not the scheme's default. */
  readonly origin: string;
}

/** The configured origin. */
export interface Home extends Server {
  /**
   * Path before the key: empty, or with a leading and without a trailing slash. Keys are appended: URL resolution would
   * collapse `//` and interpret `?`.
   */
  readonly basePath: string;
}

/** One step of a fetch: the configured origin, or the target of a redirect. */
export interface Hop extends Server {
  /** Path and query, percent-encoded, as sent. */
  readonly target: string;
  /** The URL for provenance and logs: no query, no userinfo. */
  readonly url: string;
  /** True while every hop stayed on the configured host: it gets the configured Host, Referer and headers. */
  readonly isHome: boolean;
}

/**
 * `tlsName`: the name for TLS if the host is a literal address. Throws settings_invalid: not an http(s) URL, userinfo,
 * query or fragment in it, or a port that is never dialled.
 */
export function parseHome(text: string, tlsName?: string): Home {
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
  return { endpoint: endpointOf(url, tlsName), origin: url.origin, basePath: url.pathname.replace(/\/+$/, "") };
}

/** Returns the server of an http or https URL. `servername`: as in Endpoint. */
export function endpointOf(url: URL, servername?: string): Endpoint {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  return { isSecure: url.protocol === "https:", hostname, port: portOf(url), servername };
}

/** Returns the port of an http or https URL; the scheme's default if none is written. */
function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

/** Makes the first hop of a fetch. `target`: path and query, percent-encoded. */
export function homeHop({ endpoint, origin }: Home, target: string): Hop {
  return { endpoint, origin, target, url: origin + target.split("?", 1)[0], isHome: true };
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

/** The most redirects of one fetch. */
const MAX_REDIRECTS = 5;

/** Statuses with a new URL for a GET or HEAD (RFC 9110 §15.4); the method stays. */
export const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Returns the target of a redirect of the last of `hops` (all so far, in order). Throws origin_redirect: no Location or
 * a bad one, a scheme other than http and https, https → http, userinfo, a port that is never dialled, a URL already
 * visited, over five hops. Throws origin_blocked: a foreign host redirects back to a private origin.
 */
export function nextHop(hops: readonly [Hop, ...Hop[]], location: string | undefined, isHomePrivate: boolean): Hop {
  const [home] = hops;
  const from = hops.at(-1) ?? home;
  const fail = (found: string): never => {
    throw new HuiyuanError("origin_redirect", `Cannot follow the redirect of "${from.url}": ${found}`);
  };
  if (hops.length > MAX_REDIRECTS) return fail(`it is the ${hops.length}th, the limit is ${MAX_REDIRECTS}`);
  if (location === undefined) return fail("it has no Location");
  const url = resolve(location, from);
  if (url === undefined) return fail("its Location is not a URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") return fail(`it leads to ${url.protocol}`);
  if (from.endpoint.isSecure && url.protocol === "http:") return fail("it leads from https to http");
  if (url.username !== "" || url.password !== "") return fail("its Location contains a user name");
  const port = portOf(url);
  if (isForbiddenPort(port)) return fail(`it leads to port ${port}`);
  const [endpoint, target] = [endpointOf(url), url.pathname + url.search];
  if (hops.some((earlier) => earlier.origin + earlier.target === url.origin + target))
    return fail("it leads back to where it came from");
  // A foreign host would choose its path, and the guard allows the configured host and port.
  if (isHomePrivate && !from.isHome && isServer(home.endpoint, endpoint.hostname, port)) {
    throw new HuiyuanError(
      "origin_blocked",
      `Cannot follow the redirect of "${from.url}": a foreign host redirects to the private origin`,
    );
  }
  const isHome = from.isHome && isSamePlace(home.endpoint, endpoint);
  const { servername } = home.endpoint;
  const hop = { origin: url.origin, target, url: url.origin + url.pathname, isHome };
  return { ...hop, endpoint: isHome ? { ...endpoint, servername } : endpoint };
}

function resolve(location: string, from: Hop): URL | undefined {
  // Header values are Latin-1; a Location with bytes above ASCII is UTF-8 in practice.
  const text = Buffer.from(location, "latin1").toString("utf8");
  const base = from.origin + from.target;
  return URL.canParse(text, base) ? new URL(text, base) : undefined;
}

/**
 * True for the same host and port, or the same host from http to https on the default ports: the operator's Host and
 * headers still fit.
 */
function isSamePlace(home: Endpoint, { isSecure, hostname, port }: Endpoint): boolean {
  if (isServer(home, hostname, port)) return home.isSecure === isSecure;
  return home.port === 80 && port === 443 && isSecure && isServer(home, hostname, 80);
}

/** `example.com.` and `example.com` are one host. */
export function isServer(endpoint: Endpoint, hostname: string, port: number): boolean {
  return port === endpoint.port && hostname.replace(/\.$/, "") === endpoint.hostname.replace(/\.$/, "");
}
