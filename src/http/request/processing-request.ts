// Reads which image a URL wants processed and how: by an instruction in its query, or by an alias at the end of its
// path. No I/O.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { ignoresErrors, parseInstruction } from "../../image/grammar/grammar.ts";
import { type NamedRecipe, nameRecipe } from "../../image/grammar/named-recipe.ts";
import { acceptedFormat } from "../../image/grammar/negotiate.ts";
import type { Era } from "../../image/grammar/recipe.ts";
import { keyUnder } from "../../mirror/rules.ts";
import { aliasIn, type NamedObject, type ObjectUrl, routeOf } from "./object-name.ts";
import { remember } from "./remember.ts";
import type { Site } from "./site.ts";
import { percentDecoded } from "./target.ts";

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
 * Reads the instruction of the query. Undefined: there is none, or it is invalid and has `ignore-error`, so that the
 * original is served. Throws processing_invalid.
 */
export function processingOfQuery(site: Site, { path }: ObjectUrl, object: NamedObject): ProcessingRequest | undefined {
  const { instruction } = object;
  if (instruction === undefined) return undefined;
  try {
    return { named: readRecipe[site.era](instruction), path, original: object, suffix: "", isAlias: false };
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "processing_invalid" && ignoresErrors(instruction))
      return undefined;
    throw error;
  }
}

/**
 * Reads the alias at the end of the path. An object of exactly that name takes precedence; the caller checks that. In a
 * protected bucket the whole query may be an alias too. Undefined: there is no alias.
 */
export function processingOfAlias(site: Site, url: ObjectUrl): ProcessingRequest | undefined {
  const { aliases, originalAuthorizer } = site;
  if (aliases.size === 0) return undefined;
  const byQuery = originalAuthorizer === undefined ? undefined : aliases.get(decodedQuery(url.query));
  if (byQuery !== undefined) return aliasOf(site, { ...url, query: "" }, { named: byQuery, path: url.path });
  const alias = aliasIn(site, url);
  return alias === undefined ? undefined : aliasOf(site, url, { named: alias.named, path: alias.base });
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
function aliasOf(
  site: Site,
  url: ObjectUrl,
  { named, path }: Pick<ProcessingRequest, "named" | "path">,
): ProcessingRequest | undefined {
  const request = { path, query: url.query, instruction: undefined };
  const route = routeOf(site, url, path);
  if (route?.type === "everything") return undefined;
  const key = route === undefined ? path : keyUnder(route, request);
  const original = { key, request, instruction: undefined };
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

const formatOf = remember(acceptedFormat);
/** A recipe of forty steps takes about 8 KB. */
const MAX_RECIPES = 1_024;
const readIn = (era: Era) => remember((text) => nameRecipe(parseInstruction(text, { era })), MAX_RECIPES);
const readRecipe = { 2015: readIn(2015), later: readIn("later") } as const satisfies Record<Era, unknown>;
