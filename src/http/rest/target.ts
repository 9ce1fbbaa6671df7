// Which requests are calls of the REST API, and what their path says. Everything is read from the raw target: a slash of
// a fileid may be spelled `%2F`, and only literal ones divide. Pure.
import { HuiyuanError } from "../../core/errors.ts";
import { hostOf } from "../request/target.ts";

/** A call's path. Fileids are raw. */
export interface ApiTarget {
  readonly version: 1 | 2;
  readonly appid: string;
  /** Undefined on V1 paths: the project's first. */
  readonly bucket: string | undefined;
  /** As in the path; means something on V1 paths only. */
  readonly userid: string;
  /** Behind the slash after the userid, literal slashes included; empty where the path ends there. */
  readonly rest: string;
  /** Without `?`. */
  readonly rawQuery: string;
}

const CALL = /^(?:https?:\/\/([^/?#]*))?(\/photos\/v[12](?:[/?].*)?)$/s;
const MAX_TARGET_CHARACTERS = 8_192;

const CALL_HEAD = /^[A-Za-z]{1,20} (?:https?:\/\/[^/?# ]*)?\/photos\/v[12][/? ]/;

/** Whether a head that could not be read begins as a call does. */
export function isCallHead(head: string): boolean {
  return CALL_HEAD.test(head);
}

/** `path`: from `/photos/` on, with the query. `host`: who was asked; empty where nobody is named. */
export interface ApiRequest {
  readonly host: string;
  readonly path: string;
}

/**
 * Undefined: no call, or a host of `isDomain`, whose paths are all for downloads. The authority of an absolute target
 * decides, else the Host header; every other host is fine. Throws host_invalid for one that cannot be read, and for several.
 */
export function readApiRequest(
  rawTarget: string,
  hosts: readonly string[],
  isDomain: (host: string) => boolean,
): ApiRequest | undefined {
  const [whole, authority, path = ""] = CALL.exec(rawTarget) ?? [];
  if (whole === undefined) return undefined;
  if (hosts.length > 1) throw new HuiyuanError("host_invalid", "Cannot choose between several Host headers");
  const named = authority ?? hosts[0] ?? "";
  const host = hostOf(named);
  return isDomain(host) ? undefined : { host: named, path };
}

/** Throws url_too_long, rest_path_invalid. */
export function parseApiPath(path: string): ApiTarget {
  if (path.length > MAX_TARGET_CHARACTERS) {
    const message = `Cannot read a URL of ${path.length} bytes, the limit is ${MAX_TARGET_CHARACTERS}`;
    throw new HuiyuanError("url_too_long", message);
  }
  const mark = path.indexOf("?");
  const rawQuery = mark === -1 ? "" : path.slice(mark + 1);
  const [, , name = "", appid = "", ...more] = (mark === -1 ? path : path.slice(0, mark)).split("/");
  const version = name === "v1" ? 1 : 2;
  const bucket = version === 1 ? undefined : more.shift();
  const [userid, ...rest] = more;
  if (!/^\d{1,20}$/.test(appid)) throw invalidPath("it names no appid");
  if (version === 2 && !bucket) throw invalidPath("it names no bucket");
  if (userid === undefined) throw invalidPath("it ends before the userid");
  return { version, appid, bucket, userid, rest: rest.join("/"), rawQuery };
}

export type Operation = "copy" | "delete";

/** A final literal `/copy` or `/del` of a raw fileid, and what stands before it. An upload may be named so too. */
export function splitOperation(rest: string): { readonly operation: Operation; readonly source: string } | undefined {
  if (rest.endsWith("/copy")) return { operation: "copy", source: rest.slice(0, -"/copy".length) };
  if (rest.endsWith("/del")) return { operation: "delete", source: rest.slice(0, -"/del".length) };
  return undefined;
}

export function invalidPath(found: string): HuiyuanError {
  return new HuiyuanError("rest_path_invalid", `Cannot read the path: ${found}`);
}
