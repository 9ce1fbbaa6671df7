// Answers a download with what was found under its key, as its age allows (age.ts).
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

/** Throws deleted, and the codes of Mirror.fetch where the origin must be asked. */
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
  const asker = revalidationContextOf(download);
  const age = checkFreshness(asker, object);
  if (age.kind === "serve") {
    const status = age.isStale ? staleStatus(tierOf(found), age.life) : CACHE_STATUS[tierOf(found)];
    return serveStored(download, found, { life: age.life, status });
  }
  if (found.state === "large") found.reader.close();
  const answer = await revalidateFirst(asker, object, age);
  if (answer.kind === "kept") return serveRevalidated(download, age.route, answer);
  await serveMiss(download, answer, { route: age.route, status: replacedStatus(answer) });
}

/** Of what the origin gave in place of a stored object; undefined where that was earlier: it waits for the store, as a miss may. */
export function replacedStatus({ how }: MissAnswer): string | undefined {
  return isLate(how) ? undefined : CACHE_STATUS.replaced;
}

/**
 * The store does not give what the bucket has: the origin may have it too, and its answer is passed on without being
 * stored. An upload is nobody else's. Throws `failure` where the origin cannot help.
 */
export async function serveUnreadable(download: DownloadContext, failure: HuiyuanError): Promise<void> {
  if (revalidationRoute(download) === undefined) throw failure;
  await fetchInstead(download, failure, (epoch) => serveMissing(withUnknownStore(download), epoch));
}

/** `ask`: of the origin, at the key's epoch. Throws `failure` for what the origin cannot have, or does not. */
export async function fetchInstead(
  { site, object }: DownloadContext,
  failure: HuiyuanError,
  ask: (epoch: number) => Promise<void>,
): Promise<void> {
  const entry = await site.stored.bucket.lookup(object.key);
  // Absent: a remote store that is away by now, or whoever had it deleted there.
  const mayHave = entry.state === "absent" || (entry.state === "object" && entry.info.provenance.via === "mirror");
  if (!mayHave) throw failure;
  // Nobody may be told that there is no such image.
  await ask(entry.epoch).catch((error: unknown) => {
    throw preferStoreFailure(error, failure);
  });
}

/** What is stored now, whatever its age: the origin was asked. */
async function serveRevalidated(download: DownloadContext, route: Route, { why }: StaleKept): Promise<void> {
  const found = await download.site.stored.find(download.object.key);
  // Deleted, or purged for good, while the origin was asked.
  if (found.state === "tombstone" || found.state === "absent") return serveLocated(download, found);
  const life = route.mirror.revalidation.lifeOf(storedObject(found));
  await serveStored(download, found, { life, status: CACHE_STATUS.kept[why] });
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

/** What still waits to be uploaded is a hit in the spool. */
function tierOf(found: LocatedObject): "memory" | "spool" | "bucket" {
  if (found.state === "memory") return "memory";
  return found.isPending ? "spool" : "bucket";
}

/** What says that there is no such image, while the store could not be asked (`failure`): that may have what the origin lacks. */
export function preferStoreFailure(error: unknown, failure: HuiyuanError | undefined): unknown {
  const isAbsent = error instanceof HuiyuanError && (error.code === "not_found" || error.code === "style_unknown");
  return isAbsent && failure !== undefined ? failure : error;
}

/** RFC 9211 §2.6: what is served although it is stale has a ttl below 0. */
export function staleStatus(tier: string, life: AnswerLife | undefined): string {
  return `huiyuan; hit; ttl=${life?.leftSeconds ?? 0}; detail=${tier}`;
}
