// Explains a download URL: its domain, bucket, key, rule and token, the stored object, the requests to the origin, and
// the answer. The answer comes from a dry run of the download itself, so that the two cannot disagree. It has no
// effects.
import { asHuiyuanError, errorRow, HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { type DryRun, runDry } from "../../serve/http/dry-run/dry-run.ts";
import { isHealth } from "../../serve/http/health.ts";
import { refererVerdict } from "../../serve/http/request/authorizer.ts";
import type { DownloadRequest } from "../../serve/http/request/exchange.ts";
import {
  nameObject,
  negotiatedFor,
  type ObjectUrl,
  type ProcessingRequest,
  processingOf,
} from "../../serve/http/request/object-name.ts";
import type { Site, Sites } from "../../serve/http/request/site.ts";
import { parseTarget } from "../../serve/http/request/target.ts";
import { isCall } from "../../serve/http/rest/target.ts";
import { canonicalText } from "../../serve/image/grammar/canonical-text.ts";
import { messageOf } from "../admin/audit.ts";
import type { Calls } from "../admin/calls.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import { invalid } from "../admin/input.ts";
import { type Domains, urlOf as urlOfTarget } from "../admin/naming.ts";
import { entryView } from "../images/calls/object-calls.ts";
import { explainUrl } from "./contract.ts";

type ExplainRequest = InputOf<typeof explainUrl>;

export function addExplainCall(
  calls: Calls,
  { registry, healthPath }: { readonly registry: Pick<Domains, "sites">; readonly healthPath: () => string },
): void {
  calls.add(explainUrl, async (context, input) =>
    context.json(await explain(input, { sites: registry.sites, healthPath: healthPath() })),
  );
}

/**
 * The explanation for JSON; unknown and meaningless fields are left out. `healthPath`: of the settings; may be empty.
 * Throws request_invalid if `url` is not a URL.
 */
async function explain(
  input: ExplainRequest,
  { sites, healthPath }: { readonly sites: Sites; readonly healthPath: string },
): Promise<object> {
  const request = requestOf(input);
  const isDomain = (host: string) => (sites.find(host)?.domain ?? "*") !== "*";
  if (isCall(request, isDomain)) return { method: input.method, isRestApi: true };
  if (isHealth(request, healthPath)) return { method: input.method, isHealthPath: true };
  const run = await runDry(request, sites);
  const { site } = run;
  return {
    method: input.method,
    ...(site && { domain: site.domain, bucket: site.stored.bucketId, isMirrored: site.source !== undefined }),
    ...(site && (await objectOf(site, request))),
    ...(site && { referer: refererOf(site, request), token: tokenOf(site, run) }),
    ...(site && ruleOf(site, request, run)),
    origin: run.fetches.map(fetchView),
    answer: answerOf(run),
  };
}

/**
 * The request as it would arrive on a connection, one character a byte. The fragment is dropped, as every client does.
 */
function requestOf({ url, method, headers }: ExplainRequest): DownloadRequest {
  const [, authority = "", rest = ""] = /^https?:\/\/([^/?#]*)([^#]*)/is.exec(url) ?? [];
  if (authority === "") throw invalid('"url" must be a whole URL, such as http://img.example.com/a.jpg');
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const all: Readonly<Record<string, string>> = { host: authority, ...Object.fromEntries(own) };
  const target = rest.startsWith("/") ? rest : `/${rest}`;
  return {
    method,
    url: Buffer.from(target).toString("latin1"),
    httpVersion: "1.1",
    headers: all,
    rawHeaders: Object.entries(all).flat(),
    socket: {},
  };
}

/** Undefined if the URL or its instruction is not readable: then the answer says why. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function urlOf({ url = "", method, headers }: DownloadRequest): ObjectUrl | undefined {
  return attempt(() => ({
    ...urlOfTarget(parseTarget(url, [headers.host ?? ""])),
    method: method === "HEAD" ? "HEAD" : "GET",
  }));
}

async function objectOf(site: Site, request: DownloadRequest): Promise<object> {
  const url = urlOf(request);
  if (url === undefined) return {};
  const { path, query } = url;
  const read = attempt(() => {
    const object = nameObject(site, url);
    return { key: object.key, processing: processingOf(site, url, object) };
  });
  if (read === undefined) return { path, query };
  const { key, processing } = read;
  const original = processing?.original.key ?? key;
  return {
    path,
    ...(query !== "" && { query }),
    ...(processing && processingView(processing, request)),
    key,
    stored: await storedView(site, key),
    ...(original !== key && { originalStored: await storedView(site, original) }),
  };
}

async function storedView({ stored }: Site, key: Key): Promise<object> {
  const entry = await stored.bucket.lookup(key).catch((error: unknown) => ({
    ...({ state: "absent", epoch: 0 } as const),
    failure: asHuiyuanError(error),
  }));
  return { ...entryView(entry), isInMemory: stored.peek(key) !== undefined };
}

function processingView({ named, suffix, original }: ProcessingRequest, { headers }: DownloadRequest): object {
  const { recipe } = negotiatedFor(named, headers.accept);
  const parts = [canonicalText(recipe), ...(recipe.ignoresErrors === true ? ["ignoreErrors"] : [])];
  return {
    ...(suffix !== "" && { alias: suffix.slice(1) }),
    original: original.key,
    recipe: parts.filter((part) => part !== "").join("|"),
  };
}

function refererOf({ referers }: Site, { headers }: DownloadRequest): string {
  return referers === undefined ? "off" : refererVerdict(headers.referer, referers);
}

/** `unseen`: the token was not checked, because the request was refused before, or its Referer is listed. */
function tokenOf({ authorizer }: Site, { tokens }: DryRun): object {
  if (authorizer === undefined && tokens.length === 0) return { verdict: "off" };
  // The download checks several names until one fits; checks for watermarks come after it.
  const token = tokens.find((each) => !(each instanceof HuiyuanError)) ?? tokens.at(-1);
  if (token === undefined) return { verdict: "unseen" };
  if (token instanceof HuiyuanError) return { verdict: "refused", ...problemOf(token) };
  const { scope, isSpent } = token;
  const life = scope.kind === "signed" ? { expiresInSeconds: scope.expiresInSeconds } : {};
  return { verdict: "good", kind: scope.kind, ...life, ...(isSpent && { isSpent: isSpent() }) };
}

/** The rule that decided. If the object is stored and no rule had to, the rule that would. */
function ruleOf(site: Site, request: DownloadRequest, { fetches, routes }: DryRun): object {
  const url = urlOf(request);
  const route = fetches[0]?.route ?? routes[0] ?? (url && site.source?.route(url));
  if (route === undefined) return {};
  const { rule, action, type, match, fallback } = route;
  return { rule: { index: rule, action, type, ...(rule !== undefined && { match }), fallback } };
}

function fetchView({ why, key, isStored, mayServeStale, isRunning, refusal, asks }: DryRun["fetches"][number]): object {
  return {
    why,
    key,
    isStored,
    mayServeStale,
    isRunning,
    ...(refusal && { refusal: problemOf(refusal) }),
    requests: asks.map((ask) => ({ ...ask, refusal: ask.refusal && problemOf(ask.refusal) })),
  };
}

/** `from`: the tier that the bytes would come from. The origin or the renderer decides the status itself. */
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

function problemOf(error: HuiyuanError): object {
  const { code, retryAfterSeconds } = error;
  return { code, errNo: errorRow(code).errNo, message: messageOf(error), retryAfterSeconds };
}
