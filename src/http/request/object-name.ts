// Which object of a domain a URL means, which of its rules the URL falls under, and where a name stands for what an alias makes
// of another. No I/O.

import type { Key } from "../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import { keyUnder, type ObjectRequest } from "../../mirror/rules.ts";
import { readInstruction, splitStyle } from "./instruction.ts";
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
  // Where no rule keeps queries the key is the path, and the rules need not be asked before there is a miss. A domain without a
  // mirror shows what is in the bucket, whoever has named it.
  if (site.source?.keysHaveQueries !== true) {
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

/** A path that ends in one of the site's aliases. */
export interface AliasName {
  /** The path of the original. */
  readonly base: Key;
  readonly named: NamedRecipe;
}

/**
 * Undefined where the path ends in no alias, and where the rule of the path or of what it would be made of says `everything`: there an
 * alias is a name like any other.
 */
export function aliasIn(site: Site, url: ObjectUrl, path = url.path): AliasName | undefined {
  const alias = aliasAtEnd(site, path);
  const isName =
    alias !== undefined && [alias.base, path].some((each) => routeOf(site, url, each)?.type === "everything");
  return isName ? undefined : alias;
}

/** Whatever the rules say. */
function aliasAtEnd(site: Site, path: Key): AliasName | undefined {
  if (site.aliases.size === 0) return undefined;
  const styled = splitStyle(path, site.separators);
  const named = styled === undefined ? undefined : site.aliases.get(styled.style);
  return styled === undefined || named === undefined ? undefined : { base: styled.base, named };
}

/**
 * The rule by which an origin is asked for what the bucket lacks. Undefined: none is asked. A name that ends in an alias is no
 * object's unless somebody has uploaded it: what an origin gave for it would be shown in the alias's place for good. So where the name is
 * an alias for another host or method of the domain, which has the same bucket, the answer is passed on alone.
 */
export function missRouteOf(site: Site, url: ObjectUrl, path = url.path): Route | undefined {
  if (aliasIn(site, url, path) !== undefined) return undefined;
  const route = routeOf(site, url, path);
  return route !== undefined && mayBeAlias(site, path) ? { ...route, isNeverStored: true } : route;
}

function mayBeAlias(site: Site, path: Key): boolean {
  const alias = aliasAtEnd(site, path);
  return alias !== undefined && [alias.base, path].every((each) => site.source?.processes(each) === true);
}
