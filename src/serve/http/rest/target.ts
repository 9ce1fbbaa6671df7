// Recognizes calls of the REST API and parses their paths. It reads the raw request-target, because a slash inside a
// fileid is written `%2F` and only literal slashes separate. It decodes no fileid; fileid.ts does. Pure.
import type { IncomingMessage } from "node:http";
import { HuiyuanError } from "../../../core/errors.ts";
import { hostOf } from "../request/target.ts";

/** A parsed API path; the fileid in it is raw. */
export interface ApiTarget {
  readonly version: 1 | 2;
  readonly appid: string;
  /** Undefined on V1 paths, which mean the project's first bucket. */
  readonly bucket: string | undefined;
  /** As in the path; used on V1 paths only. */
  readonly userid: string;
  /** The path after the userid's slash, literal slashes included; may be empty. */
  readonly rest: string;
  /** Without `?`. */
  readonly rawQuery: string;
}

const CALL = /^(?:https?:\/\/([^/?#]*))?(\/photos\/v[12](?:[/?].*)?)$/s;
const MAX_TARGET_CHARACTERS = 8_192;

const CALL_HEAD = /^[A-Za-z]{1,20} (?:https?:\/\/[^/?# ]*)?\/photos\/v[12][/? ]/;

/** Whether an unreadable request head begins like an API call. */
export function isCallHead(head: string): boolean {
  return CALL_HEAD.test(head);
}

type Asked = Pick<IncomingMessage, "url" | "rawHeaders">;

/** `path`: from `/photos/` on, with the query. `host`: the requested host and port, empty if the request names none. */
export interface ApiRequest {
  readonly host: string;
  readonly path: string;
}

/**
 * Undefined: not an API call, or the host serves downloads by name (`isDomain`). The host is the authority of an
 * absolute target, else the Host header. Throws host_invalid for an unreadable host, and for several Host headers.
 */
export function readApiRequest(
  { url = "", rawHeaders }: Asked,
  isDomain: (host: string) => boolean,
): ApiRequest | undefined {
  const [whole, authority, path = ""] = CALL.exec(url) ?? [];
  if (whole === undefined) return undefined;
  const hosts = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === "host");
  if (hosts.length > 1) throw new HuiyuanError("host_invalid", "Cannot choose between several Host headers");
  const named = authority ?? hosts[0] ?? "";
  const host = hostOf(named);
  return isDomain(host) ? undefined : { host: named, path };
}

/** Whether readApiRequest() yields a call, or throws and the client gets an answer of the API. */
export function isCall(request: Asked, isDomain: (host: string) => boolean): boolean {
  try {
    return readApiRequest(request, isDomain) !== undefined;
  } catch {
    return true; // Its Host cannot be read.
  }
}

/** Throws url_too_long, rest_path_invalid. */
export function parseApiPath(path: string): ApiTarget {
  if (path.length > MAX_TARGET_CHARACTERS) {
    const message = `Cannot read a URL of ${path.length} bytes, the limit is ${MAX_TARGET_CHARACTERS}`;
    throw new HuiyuanError("url_too_long", message);
  }
  const queryStart = path.indexOf("?");
  const rawQuery = queryStart === -1 ? "" : path.slice(queryStart + 1);
  const [, , name = "", appid = "", ...more] = (queryStart === -1 ? path : path.slice(0, queryStart)).split("/");
  const version = name === "v1" ? 1 : 2;
  const bucket = version === 1 ? undefined : more.shift();
  const [userid, ...rest] = more;
  if (!/^\d{1,20}$/.test(appid)) throw invalidPath("it has no appid");
  if (version === 2 && !bucket) throw invalidPath("it has no bucket");
  if (userid === undefined) throw invalidPath("it ends before the userid");
  return { version, appid, bucket, userid, rest: rest.join("/"), rawQuery };
}

export type Operation = "copy" | "delete";

/** Splits a final literal `/copy` or `/del` off a raw fileid. An uploaded fileid may end so too. */
export function splitOperation(rest: string): { readonly operation: Operation; readonly source: string } | undefined {
  if (rest.endsWith("/copy")) return { operation: "copy", source: rest.slice(0, -"/copy".length) };
  if (rest.endsWith("/del")) return { operation: "delete", source: rest.slice(0, -"/del".length) };
  return undefined;
}

export function invalidPath(found: string): HuiyuanError {
  return new HuiyuanError("rest_path_invalid", `Cannot read the path: ${found}`);
}
