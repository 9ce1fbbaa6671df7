// The admin API, /api/v1: what operators ask and order. It answers whoever reaches it; admin.ts decides who does, and a
// command without a server asks it within its own process.
import { type Context, Hono } from "hono";
import { asHuiyuanError, errorRow, HuiyuanError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { isKey } from "../../object.ts";
import type { OriginHealth } from "../../origin/health.ts";
import type { Site } from "../site.ts";
import { type Audit, auditOf, loggedName } from "./audit.ts";
import { addCallbackCalls, type CallbackParts } from "./callbacks.ts";
import { type Change, type ChangeCounts, changeAll, type Selection } from "./changes.ts";
import type { ApiEnv } from "./env.ts";
import { explain } from "./explain.ts";
import {
  flag,
  headerFields,
  type Input,
  invalid,
  optionalNumber,
  optionalText,
  optionalTexts,
  readBody,
  readQuery,
  text,
} from "./input.ts";
import { addInsightCalls, type InsightParts, noting } from "./insight.ts";
import { bucketNamed, type Domains, domainNamed, findNamed } from "./naming.ts";
import { ndjson } from "./ndjson.ts";
import { entryView, objectView } from "./object-view.ts";
import { type WarmOrder, type WarmResult, warmAll } from "./warm.ts";

export interface ApiOptions {
  readonly registry: Domains & { originHealth(): readonly OriginHealth[] };
  readonly accounts: CallbackParts & InsightParts;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly nextRequestId: () => string;
  /** Aborts when the server begins to stop. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}

/** Names in one call. */
const MAX_NAMES = 1_000;
const MAX_LISTED = 1_000;
const LISTED = 100;
// An origin that serves clients as well has more to do.
const WARM_PLACES = 4;
const DELETED_BY_OPERATOR = "deleted by an operator";
const MAX_LIFE_MS = 100 * 365 * 86_400_000;

/** Paths begin with /api/v1. */
export function createApi({ registry, accounts, nextRequestId, stopping, log, now }: ApiOptions): Hono<ApiEnv> {
  const api = new Hono<ApiEnv>().basePath("/api/v1");
  api.use(async (context, next) => {
    if (context.get("requestId") === undefined) context.set("requestId", nextRequestId());
    return next();
  });

  api.get("/buckets", (context) => context.json({ buckets: bucketsOf(registry) }));
  addCallbackCalls(api, { ...accounts, registry, log, now });
  addInsightCalls(api, { ...accounts, registry, now });
  api.get("/origins", (context) => context.json({ origins: registry.originHealth() }));

  api.get("/objects", async (context) => {
    const query = readQuery(context.req, ["bucket", "prefix", "after", "limit"]);
    const { bucketId, bucket } = bucketNamed(optionalText(query, "bucket"), registry);
    const after = optionalText(query, "after");
    if (after !== undefined && !isKey(after)) throw invalid('"after" is not a key');
    const limit = optionalNumber(query, "limit", { min: 1, max: MAX_LISTED }) ?? LISTED;
    const page = await bucket.list({ prefix: optionalText(query, "prefix") ?? "", after, limit });
    return context.json({ bucket: bucketId, objects: page.objects.map(objectView), next: page.next });
  });

  api.get("/objects/stat", async (context) => {
    const query = readQuery(context.req, ["bucket", "name"]);
    const bucket = () => bucketNamed(optionalText(query, "bucket"), registry);
    const { stored, key } = await findNamed(text(query, "name"), bucket, registry);
    const entry = await stored.bucket.lookup(key);
    const isInMemory = stored.peek(key) !== undefined;
    return context.json({ bucket: stored.bucketId, key, ...entryView(entry), isInMemory });
  });

  // POST, though it changes nothing: a URL may hold a token, which does not belong into another URL.
  api.post("/explain", async (context) => {
    const body = await readBody(context.req, ["url", "method", "headers"]);
    const method = optionalText(body, "method") ?? "GET";
    if (!/^[A-Z]{1,20}$/.test(method)) throw invalid('"method" must be such as GET');
    return context.json(
      await explain({ url: text(body, "url"), method, headers: headerFields(body, "headers") }, registry.sites),
    );
  });

  const change = (operation: Change["kind"], fields: readonly string[], read: (body: Input) => Change) =>
    api.post(`/objects/${operation}`, async (context) => {
      const body = await readBody(context.req, ["bucket", "names", "prefix", ...fields]);
      return changeStream(context, selectionOf(body, registry), read(body));
    });
  change("delete", ["reason", "forMs"], (body) => ({
    kind: "delete",
    reason: optionalText(body, "reason") ?? DELETED_BY_OPERATOR,
    forMs: optionalNumber(body, "forMs", { min: 1, max: MAX_LIFE_MS }),
  }));
  change("undelete", [], () => ({ kind: "undelete" }));
  change("purge", ["hard"], (body) => ({ kind: "purge", hard: flag(body, "hard") }));

  api.post("/warm", async (context) => {
    const body = await readBody(context.req, ["bucket", "domain", "names", "concurrency", "rate"]);
    const order = warmOrderOf(body, registry);
    const audit = auditOf(context, log, { operation: "warm", ...loggedNames(order.names) });
    const counts: Partial<Record<WarmResult, number>> = {};
    return stream(context, { audit, counts }, async function* (signal) {
      for await (const line of warmAll(order, { domains: registry, signal: AbortSignal.any([signal, stopping]) })) {
        counts[line.result] = (counts[line.result] ?? 0) + 1;
        yield line;
      }
      if (stopping.aborted) throw new HuiyuanError("draining", "the server is shutting down");
    });
  });

  function changeStream(context: Context<ApiEnv>, selection: Selection, change: Change): Response {
    const counts: ChangeCounts = { changed: 0, unchanged: 0, failed: 0 };
    const { kind: operation, ...how } = change;
    const audit = auditOf(context, log, { operation, ...how, ...loggedSelection(selection) });
    return stream(context, { audit, counts }, (signal) =>
      noting(changeAll(selection, change, { domains: registry, counts, signal }), {
        ...accounts,
        operation,
        context,
        now,
      }),
    );
  }

  /** Lines, and a last one with the counts. However it ends, it is noted. */
  function stream(
    context: Context<ApiEnv>,
    { audit, counts }: { readonly audit: Audit; readonly counts: object },
    lines: (signal: AbortSignal) => AsyncGenerator<object, void, undefined>,
  ): Response {
    const run = async function* (signal: AbortSignal): AsyncGenerator<object, void, undefined> {
      let outcome: Parameters<Audit>[0] = "left";
      try {
        yield* lines(signal);
        if (!signal.aborted) outcome = "done";
      } catch (error) {
        outcome = "failed";
        throw error;
      } finally {
        audit(outcome, counts);
      }
      yield { end: counts };
    };
    return ndjson(run, (error) => ({ error: problem(error, context.get("requestId")) }));
  }

  api.notFound((context) =>
    context.json({ code: -106, message: "no such call", requestId: context.get("requestId") }, 404),
  );
  api.onError((error, context) => {
    const known = asHuiyuanError(error);
    const { status: usual } = errorRow(known.code);
    const status = known.answerStatus ?? usual;
    const requestId = context.get("requestId");
    if (status >= 500) log.error({ err: known, requestId }, "an admin request failed");
    return Response.json(problem(known, requestId), { status });
  });
  return api;
}

/** Callers are operators: they are told more than the public text, but of faults in here only where to look. */
function problem(error: HuiyuanError, requestId: string): object {
  const { errNo, status, text: publicText } = errorRow(error.code);
  return { code: errNo, message: status < 500 ? error.message : publicText, requestId };
}

function bucketsOf({ domains }: Domains): readonly object[] {
  const buckets = new Map<string, { domain: string; isMirrored: boolean }[]>();
  for (const { domain, stored, source } of domains()) {
    const list = buckets.get(stored.bucketId) ?? [];
    list.push({ domain, isMirrored: source !== undefined });
    buckets.set(stored.bucketId, list);
  }
  return [...buckets].map(([bucket, list]) => ({ bucket, domains: list }));
}

/** Refused before anything is changed: no bucket, or neither names nor a prefix. */
function selectionOf(body: Input, domains: Domains): Selection {
  const names = optionalTexts(body, "names", MAX_NAMES);
  const prefix = optionalText(body, "prefix");
  const name = optionalText(body, "bucket");
  if ((names === undefined) === (prefix === undefined)) throw invalid('give either "names" or "prefix"');
  const bucket = () => bucketNamed(name, domains);
  if (name !== undefined || prefix !== undefined) bucket();
  // One of the two is given.
  return names === undefined ? { prefix: prefix as string, bucket } : { names, bucket };
}

function loggedSelection(selection: Selection): object {
  if ("prefix" in selection) return { bucket: selection.bucket().bucketId, prefix: selection.prefix.slice(0, 200) };
  return loggedNames(selection.names);
}

function loggedNames(names: readonly string[]): object {
  return { names: names.length, first: loggedName(names[0] ?? "") };
}

function warmOrderOf(body: Input, domains: Domains): WarmOrder {
  const names = optionalTexts(body, "names", MAX_NAMES);
  if (names === undefined) throw invalid('"names" is missing');
  const host = optionalText(body, "domain");
  const bucket = optionalText(body, "bucket");
  const site = () => domainNamed(host, () => bucketNamed(bucket, domains), domains);
  // Refused before anything is fetched.
  if (host !== undefined || bucket !== undefined) refuseMismatch(site(), bucket, domains);
  return {
    names,
    site,
    concurrency: optionalNumber(body, "concurrency", { min: 1, max: 64 }) ?? WARM_PLACES,
    rate: optionalNumber(body, "rate", { min: 0.01, max: 10_000, whole: false }),
  };
}

/** Both are given and contradict each other: one would be overlooked. */
function refuseMismatch({ domain, stored }: Site, bucket: string | undefined, domains: Domains): void {
  if (bucket === undefined || bucketNamed(bucket, domains) === stored) return;
  throw invalid(`the domain "${domain}" belongs to the bucket ${stored.bucketId}`);
}
