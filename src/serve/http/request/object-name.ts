// Reads which object a URL of a domain names, which rule applies to it, and how its image is processed: by an
// instruction in the query, or by an alias at the end of the path. No I/O.
import { HuiyuanError } from "../../../core/errors.ts";
import { isKey, type Key } from "../../../core/object.ts";
import { findInstruction, type Instruction } from "../../image/grammar/find-instruction.ts";
import { ignoresErrors, parseInstruction } from "../../image/grammar/grammar.ts";
import { type NamedRecipe, nameRecipe } from "../../image/grammar/named-recipe.ts";
import { acceptedFormat } from "../../image/grammar/negotiate.ts";
import type { Era } from "../../image/grammar/recipe.ts";
import { urlOfKey } from "../../mirror/object-keys.ts";
import { keyUnder, type ObjectRequest, originRequestForKey } from "../../mirror/rules.ts";
import { memoize } from "./memoize.ts";
import type { Route, Site } from "./site.ts";
import { percentDecoded } from "./target.ts";

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
  /** The rule that applies to the URL. Undefined: the domain has no mirror source. */
  readonly route: Route | undefined;
}

/** Throws url_invalid if path and query together make no valid key. */
export function nameObject(site: Site, url: ObjectUrl): NamedObject {
  const { path, query } = url;
  const route = site.source?.route(url);
  const { text, raw } = query === "" || route?.type === "everything" ? NO_INSTRUCTION : readInstruction(query);
  const request = { path, query, instruction: raw };
  // A domain without a mirror serves every object of its bucket by the key.
  const key = route === undefined ? path : keyUnder(route, request);
  return { key, request, instruction: text, route };
}

/** The instruction in a raw query without the token. */
export const readInstruction = memoize(findInstruction);
const NO_INSTRUCTION: Instruction = { text: undefined, raw: undefined };

/**
 * `a.jpg!small` → base `a.jpg`, style `small`. Splits at the last enabled separator, because names of styles contain
 * none. Undefined: there is no separator, or one side of it is empty.
 */
export function splitStyle(
  key: Key,
  separators: readonly string[],
): { readonly base: Key; readonly style: string } | undefined {
  const at = Math.max(...separators.map((separator) => key.lastIndexOf(separator)));
  if (at <= 0 || at === key.length - 1) return undefined;
  const base = key.slice(0, at);
  // The rest of a valid key may be invalid: `..!small` must not name the folder above.
  return isKey(base) ? { base, style: key.slice(at + 1) } : undefined;
}

/** A path that ends in one of the site's aliases. */
export interface AliasName {
  /** The path of the original. */
  readonly base: Key;
  readonly named: NamedRecipe;
  /** The rule of the original. */
  readonly route: Route | undefined;
}

/**
 * Undefined if the path ends in no alias. Undefined too if the rule of the path, or of the alias's original, says
 * `everything`: there an alias is part of the name.
 */
export function aliasIn(site: Site, url: ObjectUrl): AliasName | undefined {
  const alias = aliasAtEnd(site, url.path);
  if (alias === undefined) return undefined;
  const route = site.source?.route({ ...url, path: alias.base });
  const isName = route?.type === "everything" || site.source?.route(url).type === "everything";
  return isName ? undefined : { ...alias, route };
}

/** Ignores the rules. */
function aliasAtEnd(site: Site, path: Key): Omit<AliasName, "route"> | undefined {
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
export function missRouteOf(site: Site, url: ObjectUrl, { route }: Pick<NamedObject, "route">): Route | undefined {
  if (site.aliases.size === 0) return route;
  if (aliasIn(site, url) !== undefined) return undefined;
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
  const object = nameObject(site, url);
  const route = isStored ? object.route : missRouteOf(site, url, object);
  if (route === undefined || route.action === "none" || route.action === "redirect") return undefined;
  const request = originRequestForKey(route, object.request, {});
  if (!request.isStored) return undefined;
  return { mirror: route.mirror, request: { ...request, via: undefined, cdnLoop: undefined } };
}

/** A request for a processed image. */
export interface ProcessingRequest {
  readonly named: NamedRecipe;
  /** The path of the original's own URL. */
  readonly path: Key;
  readonly original: NamedObject;
  /** Separator and alias at the end of the URL's path; empty for an instruction. */
  readonly suffix: string;
  /** True if an alias, which the operator defines, names the recipe. */
  readonly isAlias: boolean;
}

/**
 * Reads the instruction of the query, else the alias at the end of the path. An object of exactly the URL's name takes
 * precedence over an alias; the caller checks that. In a protected bucket the whole query may be an alias too.
 * Undefined: there is neither, or the instruction is invalid and has `ignore-error`, so that the original is served.
 * Throws processing_invalid, and processing_refused in a bucket that takes no instructions.
 */
export function processingOf(site: Site, url: ObjectUrl, object: NamedObject): ProcessingRequest | undefined {
  const { aliases, originalAuthorizer, era } = site;
  const { route } = object;
  // Before the instruction: the name of an alias may begin as one.
  const byQuery = originalAuthorizer === undefined ? undefined : aliases.get(decodedQuery(url.query));
  if (byQuery !== undefined) return aliasOf({ ...url, query: "" }, { named: byQuery, base: url.path, route });
  if (object.instruction !== undefined && !site.acceptsInstructions)
    throw new HuiyuanError("processing_refused", `Cannot process "${url.path}": this bucket accepts no instructions`);
  const named = object.instruction === undefined ? undefined : recipeOf(object.instruction, era);
  if (named !== undefined) return { named, path: url.path, original: object, suffix: "", isAlias: false };
  if (aliases.size === 0) return undefined;
  const alias = aliasIn(site, url);
  return alias && aliasOf(url, alias);
}

function recipeOf(instruction: string, era: Era): NamedRecipe | undefined {
  try {
    return readRecipe[era](instruction);
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "processing_invalid" && ignoresErrors(instruction))
      return undefined;
    throw error;
  }
}

/** An undecodable query is returned as it is: it names no alias. */
function decodedQuery(query: string): string {
  try {
    return percentDecoded(query);
  } catch {
    return query;
  }
}

/** Undefined under `everything`, where an alias is part of the name. */
function aliasOf(url: ObjectUrl, { named, base: path, route }: AliasName): ProcessingRequest | undefined {
  if (route?.type === "everything") return undefined;
  const request = { path, query: url.query, instruction: undefined };
  const key = route === undefined ? path : keyUnder(route, request);
  const original = { key, request, instruction: undefined, route };
  return { named, path, original, suffix: url.path.slice(path.length), isAlias: true };
}

/**
 * Throws processing_invalid for a URL with an alias and an instruction, or with two aliases: the manuals define
 * neither.
 */
export function refuseBoth({ path, isAlias }: Pick<ProcessingRequest, "path" | "isAlias">): never {
  const more = isAlias ? "another one" : "an instruction";
  const message = `Cannot process "${path}": it has an alias and ${more}, wanted one of them`;
  throw new HuiyuanError("processing_invalid", message, {
    parameter: `an alias and ${more} together`,
    wanted: "one of them",
  });
}

/** The recipe for a client with this Accept header. */
export function negotiatedFor(named: NamedRecipe, accept: string | undefined): NamedRecipe {
  return named.negotiated?.(formatOf(accept ?? "")) ?? named;
}

const formatOf = memoize(acceptedFormat);
/** A recipe of forty steps takes about 8 KB. */
const MAX_RECIPES = 1_024;
const readIn = (era: Era) => memoize((text) => nameRecipe(parseInstruction(text, { era })), MAX_RECIPES);
const readRecipe = { 2015: readIn(2015), later: readIn("later"), qiniu: readIn("qiniu") } satisfies Record<
  Era,
  unknown
>;
