// Redirects of the download port: to where a rule sends clients, or where an origin has sent us. They are never stored
// by anyone, for the object may be in the bucket a moment later.

import { classifyAddress } from "../../core/addresses.ts";
import type { OriginRequest } from "../../mirror/rules.ts";
import { encodeKey } from "../../origin/exchange/hop.ts";
import { type Exchange, sendWhole } from "../request/exchange.ts";
import { siteHeaders } from "../response/answer-headers.ts";

const NOTHING = Buffer.alloc(0);

/** `base`: without a slash at its end. */
export function locationOf(base: string, { path, query }: Pick<OriginRequest, "path" | "query">): string {
  return `${base}/${encodeKey(path)}${query === "" ? "" : `?${query}`}`;
}

/** Whether a redirect of an origin may be shown to clients: its host is none of an internal network. Names are not looked up. */
export function isForClients(location: string): boolean {
  if (!URL.canParse(location)) return false;
  const host = new URL(location).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return false;
  const isLiteral = host.includes(":") || /^[0-9.]+$/.test(host);
  return !isLiteral || classifyAddress(host) === "public";
}

/** `location`: absolute, printable ASCII. */
export function sendRedirect(exchange: Exchange, status: number, location: string): void {
  const { site, request, isByAccept } = exchange;
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
  sendWhole(exchange, status, headers, NOTHING);
}
