// Redirects of the download port: to the base URL of a rule, or to the target of an origin's redirect. They are
// no-store, because the object may be in the bucket a moment later. This file does not choose the target.

import { classifyAddress } from "../../../core/addresses.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { OriginRequest } from "../../mirror/rules.ts";
import { encodeKey } from "../../origin/exchange/hop.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import { siteHeaders } from "../response/answer-headers.ts";
import type { LocatedRedirect } from "./download-context.ts";

/** The URL at the origin. `base` has no slash at its end. */
export function locationOf(base: string, { path, query }: Pick<OriginRequest, "path" | "query">): string {
  return `${base}/${encodeKey(path)}${query === "" ? "" : `?${query}`}`;
}

/** Whether clients may see this redirect target: its host is not an internal address. Names are not looked up. */
export function isForClients(location: string): boolean {
  if (!URL.canParse(location)) return false;
  const host = new URL(location).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return false;
  const isLiteral = host.includes(":") || /^[0-9.]+$/.test(host);
  return !isLiteral || classifyAddress(host) === "public";
}

/** The origin's own redirect, passed on to the client. Throws origin_redirect if its host is internal. */
export function redirectOfOrigin(key: Key, error: HuiyuanError): LocatedRedirect {
  const { location = "", originStatus = 302 } = error;
  if (isForClients(location)) return { kind: "redirect", status: originStatus, location };
  throw new HuiyuanError("origin_redirect", `Cannot pass on the redirect of "${key}": its host is internal`, {
    cause: error,
  });
}

/** `location`: an absolute URL in printable ASCII. */
export function sendRedirect(exchange: DownloadExchange, { status, location }: LocatedRedirect): void {
  const { site, request, response, requestId, isByAccept } = exchange;
  exchange.outcome = { kind: "other", tier: "none" };
  const headers = [
    "Location",
    location,
    "Cache-Control",
    "no-store",
    "Cache-Status",
    "huiyuan; fwd=uri-miss; detail=redirect",
  ];
  if (site !== undefined) headers.push(...siteHeaders(site, request.headers.origin, isByAccept));
  response.writeHead(status, headers, ["Content-Length", "0", "X-Request-Id", requestId]);
  response.end();
}
