// The headers by which a server detects that its own request returned to it: Via (RFC 9110 §7.6.3) and CDN-Loop (RFC
// 8586).
import { HuiyuanError } from "../../core/errors.ts";

/** The headers of the client's request that are forwarded. */
export interface ViaHeaders {
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

const VISIBLE = /^[\t\x20-\x7e]*$/;

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
  return {
    via: append("Via", received.via, `1.1 ${serverName}`, (element) => element.split(/\s+/)[1] === serverName),
    cdnLoop: append("CDN-Loop", received.cdnLoop, serverName, (element) => element.split(/[\s;]/)[0] === serverName),
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
