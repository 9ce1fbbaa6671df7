// Makes every public URL of the product: download_url, file_url, and the URLs in callbacks, logs and commands. It does
// not choose the host; publicDomain() of the settings does.
import type { Key } from "../../../core/object.ts";
import { type ClientRequest, cameThroughProxy } from "../request/client-address.ts";
import { encodeKeyForPath } from "../request/target.ts";

/** The settings of the server that public URLs depend on. */
export interface PublicPlace {
  /** Undefined: clients reach the server without a proxy, over http. */
  readonly publicScheme?: "http" | "https" | undefined;
  /** `auto`: the scheme's default port (80 or 443) if `publicScheme` is set, else the listening port. */
  readonly publicPort: number | "auto";
  /** The port that the server listens on; 0 until it is bound if the system chooses it. */
  readonly port: number;
}

const OWN_PORT = { http: 80, https: 443 } as const;

/**
 * Such as `http://img.example.com:8080`, without the port if it is the scheme's own. Undefined: the URL would have the
 * listening port, which is not known yet.
 */
export function publicBase({ publicScheme, publicPort, port }: PublicPlace, host: string): string | undefined {
  const scheme = publicScheme ?? "http";
  const own = OWN_PORT[scheme];
  const automatic = publicScheme === undefined ? port : own;
  const shown = publicPort === "auto" ? automatic : publicPort;
  if (shown === 0) return undefined;
  return `${scheme}://${host}${shown === own ? "" : `:${shown}`}`;
}

/** The download URL of an object. Undefined as publicBase() is. */
export function publicUrl(place: PublicPlace, host: string, key: Key): string | undefined {
  const base = publicBase(place, host);
  return base && `${base}/${encodeKeyForPath(key)}`;
}

/** The public addresses, and the proxies that clients come through: addresses or CIDR ranges. */
export type ApiPlace = PublicPlace & { readonly trustedProxies: readonly string[] };

/**
 * The REST API's address for a client whose request names `authority` (a host, optionally with a port). The API answers
 * on any host, so the client's host is used. Scheme and port are the public ones, if either is set and a trusted proxy
 * passed the request on. Otherwise the client's own are used. `host` replaces an empty authority; without both the
 * result is empty. The port must be bound.
 */
export function apiBase(place: ApiPlace, request: ClientRequest, authority: string, host = ""): string {
  const isProxied = cameThroughProxy(request, place.trustedProxies);
  const seen: PublicPlace = isProxied ? place : { publicPort: "auto", port: place.port };
  const named = authority.replace(/:\d*$/, "");
  if (named === "") return host === "" ? "" : (publicBase(seen, host) ?? "");
  if (seen.publicScheme === undefined && seen.publicPort === "auto") return `http://${authority}`;
  return publicBase(seen, named) ?? "";
}
