// Which object of a domain a URL means, and which of its rules the URL falls under. No I/O.
import { keyUnder, type ObjectRequest } from "../mirror/rules.ts";
import type { Key } from "../object.ts";
import { readInstruction } from "./instruction.ts";
import type { Route, Site } from "./site.ts";

/** A URL of a domain, its token taken out. */
export interface ObjectUrl {
  /** Lower case, without port and trailing dot. */
  readonly host: string;
  /** Decoded. */
  readonly path: Key;
  /** Raw. */
  readonly query: string;
  readonly method: "GET" | "HEAD";
}

export interface NamedObject {
  readonly key: Key;
  /** Its `instruction` is there only where processing is done here: not under `everything`. */
  readonly request: ObjectRequest;
  /** The same, decoded. */
  readonly instruction: string | undefined;
}

/** Throws url_invalid: with its query the key would be none. */
export function nameObject(site: Site, url: ObjectUrl): NamedObject {
  const { path, query } = url;
  const read = readInstruction(query);
  const isProcessing = read.kind === "processing";
  const raw = isProcessing ? read.raw : undefined;
  const instruction = isProcessing ? read.text : undefined;
  // Where no rule keeps queries the key is the path, and the rules need not be asked before there is a miss.
  if (site.source?.keepsQuery !== true) {
    return { key: path, request: { path, query, instruction: raw }, instruction };
  }
  const route = site.source.route(url);
  if (route.type === "everything") {
    const request = { path, query, instruction: undefined };
    return { key: keyUnder(route, request), request, instruction: undefined };
  }
  const request = { path, query, instruction: raw };
  return { key: keyUnder(route, request), request, instruction };
}

/** The rule that a URL falls under. `path`: another than the URL's own, such as that of the original of a style. */
export function routeOf(site: Site, url: ObjectUrl, path = url.path): Route | undefined {
  return site.source?.route(path === url.path ? url : { ...url, path });
}
