// Fetches objects ahead of requests, through the mirrors that clients would use, at a limited rate. It skips stored
// objects and revalidates purged ones.
import { setTimeout as delay } from "node:timers/promises";
import { asHuiyuanError, errorKind, HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import {
  aliasIn,
  nameObject,
  type ObjectUrl,
  storableFetchOf,
  urlTo,
} from "../../../serve/http/request/object-name.ts";
import type { Route, Site } from "../../../serve/http/request/site.ts";
import { auditedStream, auditOf, loggedNames, messageOf } from "../../admin/audit.ts";
import type { Calls } from "../../admin/calls.ts";
import { invalid } from "../../admin/input.ts";
import { bucketNamed, type Domains, domainNamed, keyNamed, readUrl, siteOf, urlOf } from "../../admin/naming.ts";
import { type WarmCounts, type WarmLine, warmObjects } from "../contract.ts";
import { inParallel } from "./in-parallel.ts";

/** Spaces starts evenly, at most `rate` a second. */
function createPace(rate: number, signal: AbortSignal): () => Promise<void> {
  let next = performance.now();
  return async () => {
    const wait = next - performance.now();
    next = Math.max(next, performance.now()) + 1_000 / rate;
    if (wait > 0) await delay(wait, undefined, { signal }).catch(() => undefined); // The next name sees the abort.
  };
}

interface Target {
  readonly site: Site;
  readonly url: ObjectUrl;
}

async function targetOf(name: string, site: () => Site, { sites }: Domains): Promise<Target> {
  const target = readUrl(name);
  if (target === undefined) {
    const own = site();
    return { site: own, url: urlTo(own, await keyNamed(name, own.stored)) };
  }
  const named = siteOf(target, sites);
  const url = urlOf(target);
  const original = aliasIn(named, url)?.base;
  return { site: named, url: original === undefined ? url : { ...url, path: original } };
}

/** Fetches, stores or revalidates one object. Throws the codes of Mirror.fetch. */
export async function warm({ site, url }: Target, signal: AbortSignal): Promise<Omit<WarmLine, "name">> {
  const entry = await site.stored.bucket.lookup(nameObject(site, url).key);
  if (entry.state === "tombstone") return { result: "deleted" };
  if (entry.state === "absent" && entry.certainty === "foreign") return { result: "unstored" };
  if (entry.state === "object" && !entry.isStale) return { result: "present" };
  const fetch = storableFetchOf(site, url, entry.state === "object");
  if (fetch === undefined) return { result: "unmirrored" };
  const { mirror } = fetch;
  const request = { ...fetch.request, signal };
  if (entry.state === "object") return outcome(await mirror.revalidate(entry, { ...request, mayServeStale: false }));
  try {
    return outcome(await mirror.fetch({ ...request, method: "GET", epoch: entry.epoch }));
  } catch (error) {
    // Another node has just stored it.
    if (errorKind(error) === "replaced") return { result: "present" };
    throw error;
  }
}

async function outcome(
  answer: Awaited<ReturnType<Route["mirror"]["fetch" | "revalidate"]>>,
): Promise<Omit<WarmLine, "name">> {
  if (answer.kind === "kept") return { result: answer.why === "gone" ? "missing" : "confirmed" };
  if (answer.kind === "head") return { result: "unstored" }; // Cannot happen: only a HEAD is answered so.
  try {
    const end =
      answer.kind === "finished" ? ({ kind: "whole", info: answer.info } as const) : await answer.reader.end();
    if (end.kind === "failed") return failure(end.error);
    if (end.kind !== "whole") return { result: "unstored" };
    return { result: answer.isStored() ? "fetched" : "unstored", bytes: end.info.size };
  } finally {
    answer.release();
  }
}

/** Origin errors show their full message; internal errors only their public text. */
function failure(error: HuiyuanError): Omit<WarmLine, "name"> {
  if (error.code === "not_found") return { result: "missing" };
  return { result: "failed", code: error.code, message: messageOf(error) };
}

export function addWarmCall(
  calls: Calls,
  { registry, stopping, log }: { readonly registry: Domains; readonly stopping: AbortSignal; readonly log: Log },
): void {
  calls.add(warmObjects, (context, body) => {
    let named: Site | undefined;
    const site = () => (named ??= domainNamed(body.domain, () => bucketNamed(body.bucket, registry), registry));
    // Before the first fetch.
    if (body.domain !== undefined || body.bucket !== undefined) refuseMismatch(site(), body.bucket, registry);
    const audit = auditOf(context, log, { operation: "warm", ...loggedNames(body.names) });
    const counts: Partial<WarmCounts> = {};
    return auditedStream(context, { audit, counts }, async function* (gone) {
      const signal = AbortSignal.any([gone, stopping]);
      const work = async (name: string): Promise<WarmLine> => {
        try {
          return { name, ...(await warm(await targetOf(name, site, registry), signal)) };
        } catch (error) {
          return { name, ...failure(asHuiyuanError(error)) };
        }
      };
      const pace = body.rate === undefined ? undefined : createPace(body.rate, signal);
      for await (const line of inParallel(body.names, { places: body.concurrency, work, pace, signal })) {
        counts[line.result] = (counts[line.result] ?? 0) + 1;
        yield line;
      }
      if (stopping.aborted) throw new HuiyuanError("draining", "the server is shutting down");
    });
  });
}

/** Throws request_invalid if domain and bucket contradict each other: one of them would be ignored. */
function refuseMismatch({ domain, stored }: Site, bucket: string | undefined, domains: Domains): void {
  if (bucket === undefined || bucketNamed(bucket, domains) === stored) return;
  throw invalid(`the domain "${domain}" belongs to the bucket ${stored.bucketId}`);
}
