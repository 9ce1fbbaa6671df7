// The origin `site`: any web server that serves GET <base>/<key>.
import { encodeKey, parseHome } from "../exchange/hop.ts";
import { type HttpOriginRules, hashedId } from "./http-rules.ts";

export interface SiteOptions {
  /** http or https; a path precedes every key. No userinfo, query or fragment. */
  readonly url: string;
  /** Sent as Host instead of the URL's own; also the TLS name if the URL has a literal address. */
  readonly host?: string | undefined;
  readonly referer?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** True: the origin may have a private address. */
  readonly allowPrivate: boolean;
}

/** Throws settings_invalid for options that cannot work. */
export function siteRules(options: SiteOptions): HttpOriginRules {
  const home = parseHome(options.url, options.host?.replace(/:\d+$/, "") || undefined);
  return {
    id: fingerprintOf(options),
    home,
    head: {
      host: options.host || undefined,
      referer: options.referer || undefined,
      headers: options.headers,
    },
    target: ({ path, query }) => `${home.basePath}/${encodeKey(path)}${query === "" ? "" : `?${query}`}`,
  };
}

function fingerprintOf(options: SiteOptions): string {
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  const facts = [options.url, options.host || "", options.referer || "", options.allowPrivate, headers.sort()];
  return hashedId("site", facts);
}
