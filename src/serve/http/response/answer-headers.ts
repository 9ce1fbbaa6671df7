// Makes the response headers that do not depend on the object: Cache-Control, Cache-Status, CORS and Vary. They are
// built once if they are the same for every client of a domain.

import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import { type HeaderBlock, type HeaderList, type Headers, headerBlock } from "../request/download-response.ts";
import { memoize } from "../request/memoize.ts";
import type { AnswerState, Site, TokenScope } from "../request/site.ts";
import { corsHeaders } from "./cors.ts";

export interface AnswerFacts {
  /** The request's Origin header. */
  readonly origin: string | undefined;
  readonly scope: TokenScope;
  readonly state: AnswerState;
  readonly cacheStatus: string;
  /** The remaining lifetime; undefined if the object never becomes stale. */
  readonly life: RemainingLife | undefined;
  /** Whether the response depends on the request's Accept. */
  readonly isByAccept: boolean;
}

export function answerHeaders(site: Site, facts: AnswerFacts): readonly Headers[] {
  const { origin, scope, state, cacheStatus, life, isByAccept } = facts;
  const isForAll = site.cors.length === 0 || site.cors.includes("*");
  const headers: Headers[] = [
    cacheControl(site.cacheControl(scope, state, life)),
    status(cacheStatus),
    isForAll ? siteBlock(site, isByAccept) : siteHeaders(site, origin, isByAccept),
  ];
  if (state === "suspect") headers.push(["X-ErrNo", "-120"]);
  return headers;
}

const cacheControl = memoize((text) => headerBlock(["Cache-Control", text]));
const status = memoize((text) => headerBlock(["Cache-Status", text]));

/** Each block lives as long as the domain's snapshot. */
const siteBlocks = { plain: new WeakMap<Site, HeaderBlock>(), byAccept: new WeakMap<Site, HeaderBlock>() };

function siteBlock(site: Site, isByAccept: boolean): HeaderBlock {
  const blocks = isByAccept ? siteBlocks.byAccept : siteBlocks.plain;
  const known = blocks.get(site);
  if (known !== undefined) return known;
  const built = headerBlock(siteHeaders(site, undefined, isByAccept));
  blocks.set(site, built);
  return built;
}

/** CORS and Vary. Errors and redirects have them too: a cache must not give one visitor's refusal to another. */
export function siteHeaders(site: Site, origin: string | undefined, isByAccept: boolean): HeaderList {
  const cors = corsHeaders(site.cors, origin);
  // A single Vary line, because some caches read only the first.
  const at = cors.indexOf("Vary");
  const names = at === -1 ? [] : [cors[at + 1]];
  if (site.referers !== undefined) names.push("Referer");
  if (isByAccept) names.push("Accept");
  const rest = at === -1 ? cors : cors.toSpliced(at, 2);
  return names.length === 0 ? rest : [...rest, "Vary", names.join(", ")];
}
