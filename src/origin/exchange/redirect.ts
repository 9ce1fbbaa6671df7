// Decides which redirects of an origin are followed, and which headers are sent along. Pure; the guard checks every hop
// as well.
import { HuiyuanError } from "../../core/errors.ts";
import { isForbiddenPort } from "../../core/ports.ts";
import { type Hop, hopOrigin, hopUrl, portOf } from "./hop.ts";

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
