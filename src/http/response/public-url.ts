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

/** `http://img.example.com:8080`; the scheme's own port is left out. Without a known port the result is of no use. */
export function publicBase({ publicScheme, publicPort, port }: PublicPlace, host: string): string {
  const scheme = publicScheme ?? "http";
  const own = OWN_PORT[scheme];
  const automatic = publicScheme === undefined ? port : own;
  const shown = publicPort === "auto" ? automatic : publicPort;
  return `${scheme}://${host}${shown === own ? "" : `:${shown}`}`;
}

/** The download URL of an object. */
export function publicUrl(place: PublicPlace, host: string, key: Key): string {
  return `${publicBase(place, host)}/${encodeKeyForPath(key)}`;
}

/**
 * The REST API's address for a client that names `authority` (host and perhaps port) in its request. Any host may be
 * the API's, so the client's word counts; scheme and port are public ones if the settings write either of them.
 */
export function apiBase(place: PublicPlace, authority: string): string {
  if (place.publicScheme === undefined && place.publicPort === "auto") return `http://${authority}`;
  return publicBase(place, authority.replace(/:\d*$/, ""));
}

/** False: the kernel chooses the port when the server starts. */
export function isPublicPortKnown({ publicScheme, publicPort, port }: PublicPlace): boolean {
  return publicPort !== "auto" || publicScheme !== undefined || port !== 0;
}
