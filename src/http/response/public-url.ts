// Makes every public URL of the product: download_url, file_url, the URLs of callbacks, logs and commands. It does not
// choose the host; publicDomain() of the settings does.
import type { Key } from "../../core/object.ts";
import { encodeKeyForPath } from "../request/target.ts";

/** The settings of the server that public URLs depend on. */
export interface PublicPlace {
  /** Undefined: clients reach the server without a proxy, over http. */
  readonly publicScheme?: "http" | "https" | undefined;
  /** `auto`: the scheme's own port if `publicScheme` is set, else `port`. */
  readonly publicPort: number | "auto";
  /** The port that the server listens on; 0 when it is not bound yet. */
  readonly port: number;
}

const OWN_PORT = { http: 80, https: 443 } as const;

/**
 * `http://img.example.com:8080`; the scheme's own port is left out. Undefined: the port is the listening one, and the
 * kernel is still to choose it.
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

/**
 * The REST API's address for a client that names `authority` (host and perhaps port) in its request. Any host may be
 * the API's, so the client's word counts; scheme and port are public ones if the settings write either of them.
 * `host` stands in for a client that names none; without either the result is empty. The port must be bound.
 */
export function apiBase(place: PublicPlace, authority: string, host = ""): string {
  const named = authority.replace(/:\d*$/, "");
  if (named === "") return host === "" ? "" : (publicBase(place, host) ?? "");
  if (place.publicScheme === undefined && place.publicPort === "auto") return `http://${authority}`;
  return publicBase(place, named) ?? "";
}
