// What a download URL means here: which domain, bucket, key, rule and token; what is stored; what the origin would be asked;
// and how it would be answered. It is decided by a dry run of the download itself, so that the two cannot disagree.
import { asHuiyuanError, errorRow, type HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { canonicalText } from "../../image/grammar/canonical-text.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { type DryRun, runDry } from "../dry-run/dry-run.ts";
import type { DryFetch } from "../dry-run/dry-run-site.ts";
import type { DownloadRequest } from "../request/exchange.ts";
import { nameObject, type ObjectUrl, routeOf } from "../request/object-name.ts";
import {
  type ProcessingRequest,
  processingOfAlias,
  processingOfQuery,
  settledFor,
} from "../request/processing-request.ts";
import { refererVerdict } from "../request/referer.ts";
import type { Site, Sites } from "../request/site.ts";
import { parseTarget } from "../request/target.ts";
import { readApiRequest } from "../rest/target.ts";
import { invalid } from "./input.ts";
import { entryView } from "./objects/object-view.ts";

export interface ExplainOrder {
  /** http or https, with a host. */
  readonly url: string;
  readonly method: string;
  /** Lower-case names; a `host` is sent instead of the URL's own. */
  readonly headers: Readonly<Record<string, string>>;
}

/** For JSON: what is not known, or has no meaning here, is left out. Throws request_invalid for what is no URL. */
export async function explain(order: ExplainOrder, sites: Sites): Promise<object> {
  const request = requestOf(order);
  const { hosts } = request;
  const isDomain = (host: string) => (sites.find(host)?.domain ?? "*") !== "*";
  if (isCall(request.url ?? "", hosts, isDomain)) return { method: order.method, isRestApi: true };
  const run = await runDry(request, sites);
  const { site } = run;
  return {
    method: order.method,
    ...(site && { domain: site.domain, bucket: site.stored.bucketId, isMirrored: site.source !== undefined }),
    ...(site && (await objectOf(site, request))),
    ...(site && { referer: refererOf(site, request), token: tokenOf(site, run) }),
    ...(site && ruleOf(site, request, run)),
    origin: run.fetches.map(fetchView),
    answer: answerOf(run),
  };
}

function isCall(target: string, hosts: readonly string[], isDomain: (host: string) => boolean): boolean {
  try {
    return readApiRequest(target, hosts, isDomain) !== undefined;
  } catch {
    return false; // The download port says what is wrong with such a Host.
  }
}

interface WireRequest extends DownloadRequest {
  readonly hosts: readonly string[];
}

/** As it comes over the wire, one character a byte; a fragment stays at home, as with every client. */
function requestOf({ url, method, headers }: ExplainOrder): WireRequest {
  const [, authority = "", rest = ""] = /^https?:\/\/([^/?#]*)([^#]*)/is.exec(url) ?? [];
  if (authority === "") throw invalid('"url" must be a whole URL, such as http://img.example.com/a.jpg');
  const all = { ...headers, host: headers.host ?? authority };
  const target = rest.startsWith("/") ? rest : `/${rest}`;
  return {
    method,
    url: Buffer.from(target).toString("latin1"),
    httpVersion: "1.1",
    headers: all,
    rawHeaders: Object.entries(all).flat(),
    socket: {},
    hosts: [all.host],
  };
}

/** Undefined where the URL cannot be read; the answer says why. */
function urlOf({ url = "", method, hosts }: WireRequest): ObjectUrl | undefined {
  try {
    const { host, key, rawQuery } = parseTarget(url, hosts);
    return { host, path: key, query: tokenFromQuery(rawQuery).rest, method: method === "HEAD" ? "HEAD" : "GET" };
  } catch {
    return undefined;
  }
}

async function objectOf(site: Site, request: WireRequest): Promise<object> {
  const url = urlOf(request);
  if (url === undefined) return {};
  const { path, query } = url;
  const read = readUrl(site, url);
  if (read === undefined) return { path, query };
  const { key, processing } = read;
  const entry = await site.stored.bucket.lookup(key).catch((error: unknown) => ({
    ...({ state: "absent", epoch: 0 } as const),
    failure: asHuiyuanError(error),
  }));
  return {
    path,
    ...(query !== "" && { query }),
    ...(processing && processingView(processing, request)),
    key,
    stored: { ...entryView(entry), isInMemory: site.stored.peek(key) !== undefined },
  };
}

/** Undefined where they cannot be read; the answer says why. */
function readUrl(
  site: Site,
  url: ObjectUrl,
): { readonly key: Key; readonly processing: ProcessingRequest | undefined } | undefined {
  try {
    const object = nameObject(site, url);
    return { key: object.key, processing: processingOfQuery(site, url, object) ?? processingOfAlias(site, url) };
  } catch {
    return undefined;
  }
}

function processingView({ named, suffix, original }: ProcessingRequest, { headers }: WireRequest): object {
  const { recipe } = settledFor(named, headers.accept);
  const parts = [canonicalText(recipe), ...(recipe.ignoresErrors === true ? ["ignoreErrors"] : [])];
  return {
    ...(suffix !== "" && { alias: suffix.slice(1) }),
    original: original.key,
    recipe: parts.filter((part) => part !== "").join("|"),
  };
}

function refererOf({ referers }: Site, { headers }: WireRequest): string {
  return referers.mode === "off" ? "off" : refererVerdict(headers.referer, referers);
}

/** `unseen`: the request is refused before, or a listed Referer stands for it. */
function tokenOf({ authorizer }: Site, { tokens }: DryRun): object {
  if (authorizer === undefined && tokens.length === 0) return { verdict: "off" };
  // Several names are tried until one fits; those of image marks come after it.
  const token = tokens.find(({ admission }) => admission !== undefined) ?? tokens.at(-1);
  if (token === undefined) return { verdict: "unseen" };
  const { admission, failure } = token;
  if (admission === undefined) return { verdict: "refused", ...(failure && problemOf(failure)) };
  const { scope, isSpent } = admission;
  const life = scope.kind === "signed" ? { expiresInSeconds: scope.expiresInSeconds } : {};
  return { verdict: "good", kind: scope.kind, ...life, ...(isSpent && { isSpent: isSpent() }) };
}

/** The rule that decided; where none had to, for the object is stored, the one that would. */
function ruleOf(site: Site, request: WireRequest, { fetches, routes }: DryRun): object {
  const url = urlOf(request);
  const route = fetches[0]?.route ?? routes[0] ?? (url && routeOf(site, url));
  if (route === undefined) return {};
  const { rule, action, type, match, fallback } = route;
  return { rule: { index: rule, action, type, ...(rule !== undefined && { match }), fallback } };
}

function fetchView({ why, key, isStored, isRunning, refusal, asks }: DryFetch): object {
  return {
    why,
    key,
    isStored,
    isRunning,
    ...(refusal && { refusal: problemOf(refusal) }),
    requests: asks.map((ask) => ({ ...ask, refusal: ask.refusal && problemOf(ask.refusal) })),
  };
}

/** `from`: where the bytes would come from; `origin` leaves the status to that. */
function answerOf({ status, headers, failure, outcome, renders }: DryRun): object {
  if (status === undefined) return { from: renders.length > 0 ? "renderer" : "origin" };
  const header = (name: string) => {
    const at = headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
    return at === -1 ? undefined : headers[at + 1];
  };
  const errNo = header("x-errno");
  return {
    status,
    from: outcome.tier,
    ...(failure && problemOf(failure)),
    errNo: errNo === undefined ? undefined : Number(errNo),
    cacheControl: header("cache-control"),
    cacheStatus: header("cache-status"),
    location: header("location"),
  };
}

/** Callers are operators, who are told more than the public text, but of faults in here only the code. */
function problemOf({ code, message, retryAfterSeconds }: HuiyuanError): object {
  const { errNo, status, text } = errorRow(code);
  const said = status === 500 ? text : message;
  return { code, errNo, message: said, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) };
}
