// Maps a URL of a domain to an object's key, to the rule that applies, and to an alias at the end of the path. No I/O.

import type { Key } from "../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { keyUnder, type ObjectRequest, originRequestForKey } from "../../mirror/rules.ts";
import { readInstruction, splitStyle } from "./instruction.ts";
import type { Route, Site } from "./site.ts";

/** A URL of a domain, without its token. */
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
  /** `instruction` is set only if the image is processed here, so not under `everything`. */
  readonly request: ObjectRequest;
  /** `request.instruction`, decoded. */
  readonly instruction: string | undefined;
}

/** Throws url_invalid if path and query together make no valid key. */
export function nameObject(site: Site, url: ObjectUrl): NamedObject {
  const { path, query } = url;
  const read = readInstruction(query);
  const isProcessing = read.kind === "processing";
  const raw = isProcessing ? read.raw : undefined;
  const instruction = isProcessing ? read.text : undefined;
  // If no rule keeps queries, the key is the path, and rules need no evaluation before a miss. A domain without a
  // mirror serves every object of its bucket by the key.
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

/** The rule that applies to a URL. `path`: replaces the URL's own, such as the path of a style's original. */
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
 * Undefined if the path ends in no alias. Undefined too if the rule of the path, or of the alias's original, says
 * `everything`: there an alias is part of the name.
 */
export function aliasIn(site: Site, url: ObjectUrl): AliasName | undefined {
  const alias = aliasAtEnd(site, url.path);
  const isName =
    alias !== undefined && [alias.base, url.path].some((each) => routeOf(site, url, each)?.type === "everything");
  return isName ? undefined : alias;
}

/** Ignores the rules. */
function aliasAtEnd(site: Site, path: Key): AliasName | undefined {
  if (site.aliases.size === 0) return undefined;
  const styled = splitStyle(path, site.separators);
  const named = styled === undefined ? undefined : site.aliases.get(styled.style);
  return styled === undefined || named === undefined ? undefined : { base: styled.base, named };
}

/**
 * The rule by which a missing object is fetched. Undefined: no origin is asked. A name that ends in an alias is never
 * fetched, because the stored object would replace the alias's image for good. If the name is an alias only for another
 * host or method with the same bucket, the object is passed on without being stored.
 */
export function missRouteOf(site: Site, url: ObjectUrl): Route | undefined {
  if (site.aliases.size === 0) return site.source?.route(url);
  if (aliasIn(site, url) !== undefined) return undefined;
  const route = routeOf(site, url);
  return route !== undefined && mayBeAlias(site, url.path) ? { ...route, isNeverStored: true } : route;
}

function mayBeAlias(site: Site, path: Key): boolean {
  const alias = aliasAtEnd(site, path);
  return alias !== undefined && [alias.base, path].every((each) => site.source?.processes(each) === true);
}

/** The URL by which clients get a key. Throws url_invalid: its path would be empty or too long. */
export function urlTo({ domain, source }: Site, key: Key): ObjectUrl {
  const { path, query } = urlOfKey(key, source?.keysHaveQueries === true);
  return { host: domain === "*" ? "" : domain, path, query, method: "GET" };
}

/**
 * The fetch of an object without a client's request. Undefined: the domain's rules fetch no such object, or would not
 * store the answer. `isStored`: it is revalidated.
 */
export function storableFetchOf(site: Site, url: ObjectUrl, isStored = false) {
  const route = isStored ? routeOf(site, url) : missRouteOf(site, url);
  if (route === undefined || route.action === "none" || route.action === "redirect") return undefined;
  const request = originRequestForKey(route, nameObject(site, url).request, {});
  if (!request.isStored) return undefined;
  return { mirror: route.mirror, request: { ...request, via: undefined, cdnLoop: undefined } };
}
