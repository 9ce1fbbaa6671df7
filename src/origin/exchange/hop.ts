// One request target of a fetch: the server and the path. Pure; redirect.ts makes the later hops.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { isForbiddenPort } from "../../core/ports.ts";
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

/** Returns the server to dial for a hop. `servername`: the name for TLS if the hop's host is a literal address. */
export function hopEndpoint(hop: Hop, servername: string | undefined): Endpoint {
  const hostname = hop.hostname.startsWith("[") ? hop.hostname.slice(1, -1) : hop.hostname;
  return { isSecure: hop.isSecure, hostname, port: hop.port, servername };
}
