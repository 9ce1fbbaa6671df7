// The rules of a mirror: finds the rule of a request, the key of its object, and the request to the origin. Pure. The
// settings have been checked; client input has not.
import { type Key, toKey } from "../../core/object.ts";
import { withoutWatermarkTokens } from "../image/grammar/watermark-token.ts";
import type { OriginTarget } from "../origin/origin.ts";
import { asciiQuery, filterQuery, type KeyQuery, keyOfUrl, queryInKey } from "./object-keys.ts";

/** The requests that a rule matches; an absent field matches everything. */
export interface RuleMatch {
  readonly prefix?: string | undefined;
  readonly suffix?: string | undefined;
  /** A glob for the whole path, see glob.ts. */
  readonly pattern?: string | undefined;
  readonly methods?: readonly string[] | undefined;
  /** A glob for the request's host, lower case. */
  readonly host?: string | undefined;
}

/** The name at the origin, made from the path. */
export interface RulePath {
  readonly strip?: string | undefined;
  readonly stripSuffix?: string | undefined;
  readonly add?: string | undefined;
  readonly addSuffix?: string | undefined;
  /** Contains `{key}` once; the part after a `?` is a query. */
  readonly template?: string | undefined;
  readonly file?: string | undefined;
}

export interface RuleOptions {
  readonly match: RuleMatch;
  /** `none`: a miss is a 404. */
  readonly action: "mirror" | "async" | "redirect" | "none";
  readonly type: "originals" | "everything";
  readonly keyQuery: KeyQuery;
  readonly passQuery: boolean;
  readonly processedMiss: "local" | "origin";
  readonly path: RulePath;
  readonly setQuery: Readonly<Record<string, string>>;
  readonly denyQuery: readonly string[];
  /** Whether a header of the client is forwarded; lower-case name. Undefined: none is. */
  readonly passes: ((name: string) => boolean) | undefined;
  /** Lower-case names. */
  readonly setHeaders: Readonly<Record<string, string>>;
  readonly followRedirects: boolean;
  /** True: the origin's answer is for this request alone, and never stored. */
  readonly isNeverStored?: boolean;
  /**
   * Whether this or any other rule of the bucket puts queries into keys; then keys are escaped, so that none names two
   * URLs.
   */
  readonly keysHaveQueries: boolean;
}

/** The parts of a request that decide the key of its object. */
export interface ObjectRequest {
  /** The path of the URL, decoded. */
  readonly path: Key;
  /** Raw, without the token; one character a byte. */
  readonly query: string;
  /** The part of the query that is a processing instruction; undefined for none. */
  readonly instruction: string | undefined;
}

/** The headers of the client's request, by lower-case names. */
type ClientHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A request to the origin. */
export interface OriginRequest extends OriginTarget {
  /** The key of the answer, under which it may be stored. */
  readonly key: Key;
  /** False: the answer depends on more than the key. */
  readonly isStored: boolean;
}

/** Finds the first rule that matches, else `otherwise`. */
export function createRuleFinder<Rule extends Pick<RuleOptions, "match">, Other extends Rule | undefined = undefined>(
  rules: readonly Rule[],
  otherwise?: Other,
) {
  const compiled = rules.map((rule) => ({ rule, matches: createMatcher(rule.match) }));
  return (request: { readonly path: string; readonly method: string; readonly host: string }): Rule | Other => {
    for (const { rule, matches } of compiled) if (matches(request)) return rule;
    return otherwise as Other;
  };
}

/**
 * Whether a rule of type `originals` applies to a path, for at least one host and method. The last of the rules must
 * match everything.
 */
export function createOriginalsFinder(
  rules: readonly Pick<RuleOptions, "match" | "type">[],
): (path: string) => boolean {
  const compiled = rules.map(({ match: { host, methods = METHODS, ...match }, type }) => ({
    matches: createMatcher(match),
    isOriginals: type === "originals",
    isForAll: (host === undefined || host === "*") && METHODS.every((method) => methods.includes(method)),
  }));
  return (path) =>
    // A rule for all hosts and methods decides: no later rule applies.
    compiled.find(
      ({ matches, isOriginals, isForAll }) => (isOriginals || isForAll) && matches({ path, method: "", host: "" }),
    )?.isOriginals === true;
}

const METHODS: readonly string[] = ["GET", "HEAD"];

function createMatcher(match: RuleMatch) {
  const { prefix = "", suffix = "", methods } = match;
  const pattern = match.pattern === undefined ? undefined : createGlob(match.pattern);
  const hosts = match.host === undefined ? undefined : createGlob(match.host);
  return ({ path, method, host }: { readonly path: string; readonly method: string; readonly host: string }): boolean =>
    // Prefix and suffix must not share characters: each may be stripped.
    path.length >= prefix.length + suffix.length &&
    path.startsWith(prefix) &&
    path.endsWith(suffix) &&
    (methods === undefined || methods.includes(method)) &&
    (pattern === undefined || pattern(path)) &&
    (hosts === undefined || hosts(host));
}

/** Whether queries are part of keys under this rule. */
export function keepsQuery({ type, keyQuery }: Pick<RuleOptions, "type" | "keyQuery">): boolean {
  return type === "everything" || keyQuery !== "drop";
}

/** The key of a request's object. Under `originals` an instruction is no part of it. Throws url_invalid. */
export function keyUnder(rule: RuleOptions, request: ObjectRequest): Key {
  const { path } = request;
  return rule.keysHaveQueries ? keyOfUrl(path, queries(rule, request).kept) : path;
}

/** The origin request for the object of a client request. Throws url_invalid if the rewritten path is not valid. */
export function originRequestFor(rule: RuleOptions, request: ObjectRequest, client: ClientHeaders): OriginRequest {
  const { kept, sent } = request.query === "" ? NO_QUERY : queries(rule, request);
  const { path, query } = rewrite(rule.path, request.path);
  const { passes, setHeaders } = rule;
  return {
    key: rule.keysHaveQueries ? keyOfUrl(request.path, kept) : request.path,
    isStored: sent === kept && rule.isNeverStored !== true,
    path,
    query: withSet(query, sent, rule.setQuery),
    headers: passes === undefined ? setHeaders : { ...passedHeaders(passes, client), ...setHeaders },
    followsRedirects: rule.followRedirects,
  };
}

/** As originRequestFor(), for the object that is stored under the key: query parameters beyond the key are not sent. */
export function originRequestForKey(rule: RuleOptions, request: ObjectRequest, client: ClientHeaders): OriginRequest {
  return originRequestFor({ ...rule, passQuery: false }, request, client);
}

/** Equal for requests that may share an answer: the key if it is stored, else everything that is sent. */
export function fillId({ isStored, key, path, query, headers }: OriginRequest): string {
  return isStored ? key : `${key}\0${path}?${query}\0${JSON.stringify(headers)}`;
}

/** As originRequestFor(), if the origin processes the URL itself: the instruction is sent, and nothing is stored. */
export function originRequestForProcessed(
  rule: RuleOptions,
  request: ObjectRequest,
  client: ClientHeaders,
): OriginRequest {
  const plain = originRequestFor(rule, request, client);
  return { ...plain, isStored: false, query: joinQueries(sentInstruction(request), plain.query) };
}

/** Tokens are removed: they are for this server alone. */
function sentInstruction({ instruction = "" }: ObjectRequest): string {
  return asciiQuery(withoutWatermarkTokens(instruction));
}

/**
 * The place of the object for a client: path and query below a base URL, without setQuery, which is for the origin
 * alone.
 */
export function publicTarget(rule: RuleOptions, request: ObjectRequest): Pick<OriginRequest, "path" | "query"> {
  const place = rewrite(rule.path, request.path);
  const instruction = rule.type === "everything" ? "" : sentInstruction(request);
  return { path: place.path, query: joinQueries(place.query, instruction, queries(rule, request).sent) };
}

const NO_QUERY = { kept: "", sent: "" };

/** The query in the key, and the query that is sent. Equal unless passQuery sends more. */
function queries(rule: RuleOptions, { query, instruction }: ObjectRequest): { kept: string; sent: string } {
  if (query === "") return NO_QUERY;
  const isAll = rule.type === "everything";
  const plain = isAll || instruction === undefined ? query : withoutPart(query, instruction);
  const ascii = asciiQuery(plain);
  const allowed = rule.denyQuery.length === 0 ? ascii : filterQuery(ascii, (name) => !rule.denyQuery.includes(name));
  const kept = queryInKey(allowed, isAll ? "keep" : rule.keyQuery);
  return { kept, sent: rule.passQuery ? allowed : kept };
}

function withoutPart(query: string, part: string): string {
  const parts = query.split("&");
  const at = parts.indexOf(part);
  return at === -1 ? query : parts.toSpliced(at, 1).join("&");
}

/** The query of the path's template, then the client's. Parameters that the operator sets replace the client's. */
function withSet(ofPath: string, query: string, set: RuleOptions["setQuery"]): string {
  const own = Object.entries(set);
  if (own.length === 0 && ofPath === "") return query;
  const others = filterQuery(query, (name) => !Object.hasOwn(set, name));
  return joinQueries(ofPath, others, ...own.map(([name, value]) => `${name}=${value}`));
}

function joinQueries(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("&");
}

/** The name at the origin. Throws url_invalid if it is empty, or has a `.` or `..` segment. */
function rewrite(path: RulePath, key: Key): { readonly path: Key; readonly query: string } {
  if (path.file !== undefined) return { path: toKey(path.file), query: "" };
  const end = key.length - (path.stripSuffix?.length ?? 0);
  const stem = key.slice(path.strip?.length ?? 0, end);
  if (path.template === undefined) {
    const isSame = stem === key && path.add === undefined && path.addSuffix === undefined;
    return { path: isSame ? key : toKey(`${path.add ?? ""}${stem}${path.addSuffix ?? ""}`), query: "" };
  }
  const mark = path.template.indexOf("?");
  const before = mark === -1 ? path.template : path.template.slice(0, mark);
  const after = mark === -1 ? "" : path.template.slice(mark + 1);
  return {
    path: toKey(before.replace("{key}", () => stem)),
    query: after.replace("{key}", () => encodeURIComponent(stem)),
  };
}

/** Headers that `Connection` names are for this hop alone, so they are not forwarded (RFC 9110 §7.6.1). */
function passedHeaders(passes: (name: string) => boolean, headers: ClientHeaders): Record<string, string> {
  const hop = String(headers.connection ?? "").toLowerCase();
  const hopNames = hop === "" ? [] : hop.split(",").map((name) => name.trim());
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string" && passes(name) && !hopNames.includes(name)) passed[name] = value;
  }
  return passed;
}

/** Matches the whole text. A character is a Unicode code point; `*` also matches slashes, and the empty string. */
export function createGlob(pattern: string): (text: string) => boolean {
  const characters = [...pattern];
  return (text) => matches(characters, [...text]);
}

function matches(characters: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  // The place of the last star, and the end of the text that it matches so far.
  let star = -1;
  let reached = 0;
  for (let index = 0; index < text.length; ) {
    if (characters[at] === "*") {
      star = at;
      at += 1;
      reached = index;
    } else if (at < characters.length && (characters[at] === "?" || characters[at] === text[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      // The part between two stars matches at its first possible place, so only the last star has to match more.
      at = star + 1;
      reached += 1;
      index = reached;
    } else {
      return false;
    }
  }
  return characters.slice(at).every((character) => character === "*");
}
