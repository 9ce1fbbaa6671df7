// What an answer says beside the object's own headers: Cache-Control, Cache-Status, CORS and Vary. Laid out once where it
// is the same for every client of a domain.
import type { AnswerLife, AnswerState, TokenScope } from "./cache-control.ts";
import { corsHeaders } from "./cors.ts";
import { remember } from "./remember.ts";
import { type HeaderBlock, type HeaderList, type Headers, headerBlock } from "./response.ts";
import type { Site } from "./site.ts";

export interface AnswerFacts {
  /** The request's Origin. */
  readonly origin: string | undefined;
  readonly scope: TokenScope;
  readonly state: AnswerState;
  readonly cacheStatus: string;
  /** Of what ages; undefined: it does not. */
  readonly life: AnswerLife | undefined;
}

export function answerHeaders(site: Site, facts: AnswerFacts): readonly Headers[] {
  const { origin, scope, state, cacheStatus, life } = facts;
  const isForAll = site.cors.length === 0 || site.cors.includes("*");
  const headers: Headers[] = [
    cacheControl(site.cacheControl(scope, state, life)),
    status(cacheStatus),
    isForAll ? siteBlock(site) : siteHeaders(site, origin),
  ];
  if (life !== undefined) headers.push(["Age", String(life.ageSeconds)]);
  if (state === "suspect") headers.push(["X-ErrNo", "-120"]);
  return headers;
}

const cacheControl = remember((text) => headerBlock(["Cache-Control", text]));
const status = remember((text) => headerBlock(["Cache-Status", text]));

/** Kept as long as the domain's snapshot is. */
const siteBlocks = new WeakMap<Site, HeaderBlock>();

function siteBlock(site: Site): HeaderBlock {
  const known = siteBlocks.get(site);
  if (known !== undefined) return known;
  const built = headerBlock(siteHeaders(site, undefined));
  siteBlocks.set(site, built);
  return built;
}

function siteHeaders(site: Site, origin: string | undefined): HeaderList {
  const list: string[] = [];
  // One Vary line: some caches read only the first.
  const isByReferer = site.referers.mode !== "off";
  for (const value of corsHeaders(site.cors, origin)) {
    list.push(isByReferer && value === "Origin" ? "Origin, Referer" : value);
  }
  if (isByReferer && !list.includes("Vary")) list.push("Vary", "Referer");
  return list;
}
