// Resolves the bucket and the object that a caller names, by a download URL or by bucket and key. It changes nothing.
import { HuiyuanError } from "../../core/errors.ts";
import { few } from "../../core/few.ts";
import { type Key, toKey } from "../../core/object.ts";
import { aliasIn, nameObject, type ObjectUrl } from "../../serve/http/request/object-name.ts";
import type { BucketSites, Site, Sites } from "../../serve/http/request/site.ts";
import { parseTarget, type Target } from "../../serve/http/request/target.ts";
import type { RestApiParts } from "../../serve/http/rest/call.ts";
import { tokenFromQuery } from "../../serve/sign/token.ts";
import { invalid } from "./input.ts";

/** A bucket behind the memory cache. */
export type Stored = Site["stored"];
type Projects = ReturnType<RestApiParts["projects"]>;
/** A bucket as the REST API sees it. */
export type ManagedBucket = NonNullable<NonNullable<ReturnType<Projects["find"]>>["firstBucket"]>;

/** The domains of the current settings. */
export interface Domains {
  readonly sites: Sites;
  buckets(): BucketSites;
}

export interface NamedObject {
  readonly stored: Stored;
  readonly key: Key;
}

/** Undefined: the text is a key. A key that begins like a URL can only be named by its URL. */
export function readUrl(text: string): Target | undefined {
  if (!/^https?:\/\//i.test(text)) return undefined;
  // One character a byte, as a request-target arrives.
  return parseTarget(Buffer.from(text).toString("latin1"), []);
}

/**
 * The key of a name that is no URL. A leading slash is nearly always that of a URL's path, so it needs an object, or a
 * deletion, with exactly this name. Other such keys are named by their URL. Throws url_invalid, request_invalid and the
 * codes of the store.
 */
export async function keyNamed(name: string, { bucket }: Stored): Promise<Key> {
  const key = toKey(name);
  if (!key.startsWith("/")) return key;
  const entry = await bucket.lookup(key);
  if (entry.state !== "absent") return key;
  if (entry.failure !== undefined) throw entry.failure;
  const wanted = key.replace(/^\/+/, "");
  throw invalid(`no such key "${key}": a key has no leading slash, did you mean "${wanted}"?`);
}

/** Throws domain_unknown. */
export function siteOf({ host }: Target, sites: Sites): Site {
  const site = sites.find(host);
  if (site === undefined)
    throw new HuiyuanError("domain_unknown", `no bucket is bound to the host "${host}"; add it under \`domains\``);
  return site;
}

/** The object URL of a GET for the target. */
export function urlOf({ host, key, rawQuery }: Target): ObjectUrl {
  return { host, path: key, query: tokenFromQuery(rawQuery).rest, method: "GET" };
}

/**
 * The bucket `<appid>/<name>`, or the only one with this name. Without a name: the only bucket. Throws request_invalid,
 * whose message names some buckets.
 */
export function bucketNamed(name: string | undefined, { buckets }: Domains): Stored {
  const all = buckets();
  const exact = all.get(name ?? "");
  if (exact !== undefined) return exact[0].stored;
  const ids = [...all.keys()];
  const fitting = name === undefined ? ids : ids.filter((id) => id.endsWith(`/${name}`));
  const [only] = all.get(fitting[0] ?? "") ?? [];
  if (only === undefined) throw invalid(`there is no bucket "${name ?? ""}"; there are ${few(ids)}`);
  if (fitting.length > 1)
    throw invalid(`there are several buckets, name one (--bucket; "bucket" in a call): ${few(ids)}`);
  return only.stored;
}

/**
 * The id of a named bucket; undefined for all. A full id needs no look-up: removed buckets still have their history.
 */
export function bucketIdNamed(name: string | undefined, domains: Domains): string | undefined {
  return name === undefined || name.includes("/") ? name : bucketNamed(name, domains).bucketId;
}

/** The bucket for uploads. Throws request_invalid: it was removed from the settings just now. */
export function managedBucket(bucketId: string, projects: Projects): ManagedBucket {
  const [appid = "", name = ""] = bucketId.split("/");
  const bucket = projects.find(appid)?.buckets.get(name);
  if (bucket === undefined) throw invalid(`there is no bucket "${bucketId}"`);
  return bucket;
}

/**
 * The domain of a host; without a host the first mirrored domain of the bucket, in settings order. Throws
 * request_invalid.
 */
export function domainNamed(host: string | undefined, bucket: () => Stored, { sites, buckets }: Domains): Site {
  if (host !== undefined) {
    const site = sites.find(host.toLowerCase());
    if (site?.domain === host.toLowerCase()) return site;
    const all = [...buckets().values()].flat().map(({ domain }) => domain);
    throw invalid(`there is no domain "${host}"; there are ${few(all)}`);
  }
  const { bucketId } = bucket();
  const site = buckets()
    .get(bucketId)
    ?.find(({ source }) => source !== undefined);
  if (site === undefined) throw invalid(`no domain of the bucket ${bucketId} has a mirror`);
  return site;
}

/**
 * The object of a name. `bucket`: the bucket of a key. A URL means its original: instruction and alias are ignored.
 * Throws url_invalid, request_invalid, host_invalid, domain_unknown, and the codes of `bucket` and the store.
 */
export async function findNamed(name: string, bucket: () => Stored, { sites }: Domains): Promise<NamedObject> {
  const target = readUrl(name);
  if (target === undefined) {
    const stored = bucket();
    return { stored, key: await keyNamed(name, stored) };
  }
  const site = siteOf(target, sites);
  const { stored } = site;
  const url = urlOf(target);
  const { key } = nameObject(site, url);
  const base = aliasIn(site, url)?.base;
  if (base === undefined) return { stored, key };
  // An object with exactly this name comes first, as for downloads.
  const entry = await stored.bucket.lookup(key);
  if (entry.state === "object") return { stored, key };
  // The store did not answer; a guess could change the wrong object.
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  return { stored, key: base };
}
