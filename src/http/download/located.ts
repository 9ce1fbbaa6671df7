// Serves a download after the look-up of its key: the stored object if it is fresh enough, else the origin's
// answer. freshness.ts decides about freshness, miss.ts fetches.
import { HuiyuanError } from "../../core/errors.ts";
import { isLate, type MissAnswer } from "../../mirror/fill/join.ts";
import type { StaleKept } from "../../mirror/freshness/revalidation-outcome.ts";
import type { Found, StoredObject } from "../../mirror/stored/stored.ts";
import type { Route } from "../request/site.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import {
  answerLocated,
  CACHE_STATUS,
  contextOf,
  type DownloadContext,
  FROM_MEMORY,
  withLookupOf,
  withUnknownStore,
} from "./download-context.ts";
import { checkFreshness, revalidateFirst, revalidationContextOf, revalidationRoute } from "./freshness.ts";
import { serveMiss, serveMissing } from "./miss.ts";

type LocatedObject = Exclude<Found, { readonly state: "tombstone" | "absent" }>;

/** Throws deleted, and the codes of Mirror.fetch if the origin must be asked. */
export async function serveLocated(download: DownloadContext, found: Found): Promise<void> {
  if (found.state === "absent") {
    const { epoch, failure } = found;
    return serveMissing(withLookupOf(download, found), epoch).catch((error: unknown) => {
      throw preferStoreFailure(error, failure);
    });
  }
  const { key } = download.object;
  if (found.state === "tombstone") throw new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`);
  const object = storedObject(found);
  const context = revalidationContextOf(download);
  const freshness = checkFreshness(context, object);
  if (freshness.kind === "serve") {
    const status = freshness.isStale ? staleStatus(tierOf(found), freshness.life) : CACHE_STATUS[tierOf(found)];
    return serveStored(download, found, { life: freshness.life, status });
  }
  if (found.state === "large") found.reader.close();
  const answer = await revalidateFirst(context, object, freshness);
  if (answer.kind === "kept") return serveRevalidated(download, freshness.route, answer);
  await serveMiss(download, answer, { route: freshness.route, status: replacedStatus(answer) });
}

/** The Cache-Status of a newer version. Undefined: it is from an earlier fetch, so the status of a miss applies. */
export function replacedStatus({ how }: MissAnswer): string | undefined {
  return isLate(how) ? undefined : CACHE_STATUS.replaced;
}

/**
 * Fetches an object that the store cannot read, and passes it on without storing it. An uploaded object has no origin.
 * Throws `failure` if the origin cannot replace it.
 */
export async function serveUnreadable(download: DownloadContext, failure: HuiyuanError): Promise<void> {
  if (revalidationRoute(download) === undefined) throw failure;
  await fetchInstead(download, failure, (epoch) => serveMissing(withUnknownStore(download), epoch));
}

/** `fetch`: from the origin, at this epoch. Throws `failure` if the origin cannot have the object, or does not. */
export async function fetchInstead(
  { site, object }: DownloadContext,
  failure: HuiyuanError,
  fetch: (epoch: number) => Promise<void>,
): Promise<void> {
  const entry = await site.stored.bucket.lookup(object.key);
  // Absent: the remote store is unavailable by now, or the object was deleted there.
  const mayHave = entry.state === "absent" || (entry.state === "object" && entry.info.provenance.via === "mirror");
  if (!mayHave) throw failure;
  // A 404 of the origin must not become ours: the bucket has this image.
  await fetch(entry.epoch).catch((error: unknown) => {
    throw preferStoreFailure(error, failure);
  });
}

/** Serves what is stored now, fresh or stale, because the origin gave nothing newer. */
async function serveRevalidated(download: DownloadContext, route: Route, { why }: StaleKept): Promise<void> {
  const found = await download.site.stored.find(download.object.key);
  // Deleted, or purged for good, during the revalidation.
  if (found.state === "tombstone" || found.state === "absent") return serveLocated(download, found);
  const life = route.mirror.revalidation.lifeOf(storedObject(found));
  await serveStored(download, found, { life, status: CACHE_STATUS.revalidated[why] });
}

async function serveStored(
  download: DownloadContext,
  found: LocatedObject,
  { life, status }: { readonly life: AnswerLife | undefined; readonly status: string },
): Promise<void> {
  const { exchange } = download;
  const tier = tierOf(found);
  const isUnknown = tier === "spool" && download.site.stored.bucket.isUnknown(download.object.key);
  exchange.outcome = tier === "memory" ? FROM_MEMORY : { kind: "hit", tier };
  await answerLocated(
    exchange,
    found,
    contextOf(isUnknown ? withUnknownStore(download) : download, "stored", status, life),
  );
}

function storedObject(found: LocatedObject): StoredObject {
  if (found.state === "large") return found;
  const { info, epoch } = found.object;
  return { info, isStale: found.state === "loaded" && found.isStale, epoch };
}

/** An object whose upload to the remote store is pending counts as a hit in the spool. */
function tierOf(found: LocatedObject): "memory" | "spool" | "bucket" {
  if (found.state === "memory") return "memory";
  return found.isPending ? "spool" : "bucket";
}

/** Replaces "no such image" by the failure of the store, if there is one: the store may have what the origin lacks. */
export function preferStoreFailure(error: unknown, failure: HuiyuanError | undefined): unknown {
  const isAbsent = error instanceof HuiyuanError && (error.code === "not_found" || error.code === "style_unknown");
  return isAbsent && failure !== undefined ? failure : error;
}

/** The Cache-Status of a stale object. RFC 9211 §2.6: its ttl is below 0. */
export function staleStatus(tier: string, life: AnswerLife | undefined): string {
  return `huiyuan; hit; ttl=${life?.leftSeconds ?? 0}; detail=${tier}`;
}
