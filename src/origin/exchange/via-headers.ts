// The marks by which servers see that a request has come back to them: Via (RFC 9110 §7.6.3) and CDN-Loop (RFC 8586).
import { HuiyuanError } from "../../core/errors.ts";

/** What of the client's request is carried on. */
export interface ViaHeaders {
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
}

const VISIBLE = /^[\t\x20-\x7e]*$/;

/** Bytes of Via or CDN-Loop; beyond it the chain is taken for a loop. */
const MAX_CHAIN_BYTES = 2048;

/** How a server of this id calls itself in both. */
export function viaValueOf(serverId: string): string {
  return `huiyuan-${serverId}`;
}

/**
 * The marks with this server's own behind them. Throws origin_loop when they name this server or are longer than a chain
 * of servers can be.
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
  // What cannot be sent again is not a mark that a server made.
  if (theirs === undefined || theirs === "" || !VISIBLE.test(theirs)) return ours;
  if (theirs.length > MAX_CHAIN_BYTES)
    throw loop(`${name} has ${theirs.length} bytes, the limit is ${MAX_CHAIN_BYTES}`);
  if (theirs.split(",").some((element) => isOurs(element.trim()))) throw loop(`${name} names this server`);
  return `${theirs}, ${ours}`;
}

function loop(found: string): HuiyuanError {
  return new HuiyuanError("origin_loop", `Cannot ask the origin: ${found}`);
}
