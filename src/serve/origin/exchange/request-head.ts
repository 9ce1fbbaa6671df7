// Builds the head of a request to an origin. From the client's request it contains only Via, CDN-Loop and headers that
// rules forward. By Via (RFC 9110 §7.6.3) and CDN-Loop (RFC 8586) a server detects that its own request returned to it.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Validators } from "../origin.ts";

/** Settings for an origin's own host; no other host gets them. */
export interface OwnHeaders {
  /** Sent as Host instead of the URL's own. */
  readonly host?: string | undefined;
  readonly referer?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface RequestHeadOptions extends OwnHeaders {
  readonly userAgent: string;
  readonly serverId: string;
}

/**
 * The parts that differ between requests: the client's Via and CDN-Loop, which are forwarded, and our own conditions.
 */
export interface RequestViaHeaders extends ViaHeaders {
  readonly unless?: Validators | undefined;
}

/**
 * Returns the headers of a request, alternating names and values. `isHome`: the configured host itself. Only it gets
 * Host, Referer, configured headers and `added` (lower-case names; they replace others, except reserved ones). Throws
 * origin_loop as appendViaHeaders() does.
 */
export type RequestHead = (
  request: RequestViaHeaders,
  isHome: boolean,
  added?: Readonly<Record<string, string>>,
) => string[];

/** Framing, connection and conditions belong to this program; an operator's value would break its checks. */
const RESERVED =
  /^(host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|expect|range|if-.*|accept-encoding|via|cdn-loop)$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VISIBLE = /^[\t\x20-\x7e]*$/;

/** Throws settings_invalid for a header that cannot be sent or may not be configured. */
export function createRequestHead(options: RequestHeadOptions): RequestHead {
  const viaName = viaValueOf(options.serverId);
  if (!TOKEN.test(viaName)) throw invalid("the server's id", options.serverId);
  const foreign = new Map([
    ["accept", ["Accept", "*/*"]],
    ["accept-encoding", ["Accept-Encoding", "identity"]],
    ["user-agent", ["User-Agent", options.userAgent]],
  ]);
  const home = new Map(foreign);
  if (options.host !== undefined) home.set("host", ["Host", options.host]);
  if (options.referer !== undefined) home.set("referer", ["Referer", options.referer]);
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (!TOKEN.test(name) || RESERVED.test(name.toLowerCase())) throw invalid("the header name", name);
    home.set(name.toLowerCase(), [name, value]);
  }
  for (const [name, value = ""] of home.values()) {
    if (!VISIBLE.test(value)) throw invalid(`the value of ${name}`, value);
  }
  const homeHeaders = [...home.values()].flat();
  const foreignHeaders = [...foreign.values()].flat();

  return (request, isHome, added = {}) => {
    const { via, cdnLoop } = appendViaHeaders(request, viaName);
    const chain = ["Via", via, "CDN-Loop", cdnLoop];
    const { etag, lastModified } = request.unless ?? {};
    // A server that gets both conditions uses the entity tag (RFC 9110 §13.2.2).
    if (etag !== undefined) chain.push("If-None-Match", etag);
    if (lastModified !== undefined) chain.push("If-Modified-Since", lastModified);
    if (!isHome) return [...foreignHeaders, ...chain];
    const names = Object.keys(added);
    return names.length === 0 ? [...homeHeaders, ...chain] : [...withAdded(home, added), ...chain];
  };
}

/** `added` may contain headers from a client. Values that cannot be sent are omitted. */
function withAdded(
  home: ReadonlyMap<string, readonly string[]>,
  added: Readonly<Record<string, string>>,
): readonly string[] {
  const all = new Map(home);
  for (const [name, value] of Object.entries(added)) {
    if (TOKEN.test(name) && VISIBLE.test(value) && !RESERVED.test(name)) all.set(name, [name, value]);
  }
  return [...all.values()].flat();
}

/** Returns alternating names and values; each header of `put` (lower-case names) replaces all of its name. */
export function withHeaders(headers: readonly string[], put: Readonly<Record<string, string>>): string[] {
  const others = headers.filter((_, index) => {
    const name = headers[index - (index % 2)] ?? "";
    return !(name.toLowerCase() in put);
  });
  return [...others, ...Object.entries(put).flat()];
}

function invalid(what: string, value: string): HuiyuanError {
  return new HuiyuanError("settings_invalid", `Cannot send ${what}: ${JSON.stringify(value)} is not allowed there`);
}

/** The headers of the client's request that are forwarded. */
export interface ViaHeaders {
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

/** Bytes of Via or CDN-Loop; a longer chain is taken for a loop. */
const MAX_CHAIN_BYTES = 2048;

/** The name of a server with this id in both headers. */
export function viaValueOf(serverId: string): string {
  return `huiyuan-${serverId}`;
}

/**
 * Appends this server to the received headers. Throws origin_loop if they name this server, or are longer than a real
 * chain of servers.
 */
export function appendViaHeaders(
  received: ViaHeaders,
  serverName: string,
): { readonly via: string; readonly cdnLoop: string } {
  const { via, cdnLoop } = received;
  if (via === undefined && cdnLoop === undefined) return { via: `1.1 ${serverName}`, cdnLoop: serverName };
  return {
    via: append("Via", via, `1.1 ${serverName}`, (element) => element.split(/\s+/)[1] === serverName),
    cdnLoop: append("CDN-Loop", cdnLoop, serverName, (element) => element.split(/[\s;]/)[0] === serverName),
  };
}

function append(name: string, theirs: string | undefined, ours: string, isOurs: (element: string) => boolean): string {
  // A value that cannot be sent was not made by a server, so it is dropped.
  if (theirs === undefined || theirs === "" || !VISIBLE.test(theirs)) return ours;
  if (theirs.length > MAX_CHAIN_BYTES)
    throw loop(`${name} has ${theirs.length} bytes, the limit is ${MAX_CHAIN_BYTES}`);
  if (theirs.split(",").some((element) => isOurs(element.trim()))) throw loop(`${name} names this server`);
  return `${theirs}, ${ours}`;
}

function loop(found: string): HuiyuanError {
  return new HuiyuanError("origin_loop", `Cannot send the request to the origin: ${found}`);
}
