// Admin API calls for stored objects: list, stat, variants, delete, undelete, purge. A change of many objects answers
// with a line for each of them; a key that cannot be changed does not stop the others.
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import { etagOf, isKey, type Key, MEDIA_TYPES, type ObjectInfo, toKey } from "../../../core/object.ts";
import { type Bucket, digestOf } from "../../../serve/bucket/contract/bucket.ts";
import type { Site } from "../../../serve/http/request/site.ts";
import { publicUrl } from "../../../serve/http/response/public-url.ts";
import type { RestApiParts } from "../../../serve/http/rest/call.ts";
import { canonicalText } from "../../../serve/image/grammar/canonical-text.ts";
import type { Service } from "../../../serve/wiring/service.ts";
import { auditedStream, auditOf, entryOf, loggedName, loggedNames, messageOf } from "../../admin/audit.ts";
import type { Calls } from "../../admin/calls.ts";
import type { Contract, InputOf } from "../../admin/contract/contract.ts";
import { invalid } from "../../admin/input.ts";
import {
  bucketNamed,
  type Domains,
  findNamed,
  managedBucket,
  type NamedObject,
  type Stored,
} from "../../admin/naming.ts";
import type { Records } from "../../answered-requests.ts";
import {
  type ChangeCounts,
  type ChangeLine,
  deleteObjects,
  listObjects,
  listVariants,
  purgeObjects,
  showObject,
  undeleteObjects,
} from "../contract.ts";
import { inParallel } from "./in-parallel.ts";

export interface ObjectParts extends Records, Pick<Service, "cluster"> {
  readonly registry: Domains;
  readonly log: Log;
}

interface ObjectCallParts extends ObjectParts {
  readonly restApi: Pick<RestApiParts, "projects" | "place">;
}

// The store commits concurrent changes as one group.
const PLACES = 32;
const PAGE = 1_000;

export function addObjectCalls(calls: Calls, parts: ObjectCallParts): void {
  const { registry, restApi } = parts;
  calls.add(listObjects, async (context, { prefix = "", after, limit, ...query }) => {
    const { bucketId, bucket } = bucketNamed(query.bucket, registry);
    if (after !== undefined && !isKey(after)) throw invalid('"after" is not a key');
    const page = await bucket.list({ prefix, after, limit, signal: context.req.raw.signal });
    return context.json({ bucket: bucketId, objects: page.objects.map(objectView), next: page.next });
  });
  calls.add(showObject, async (context, { bucket, name, read }) => {
    const { stored, key } = await findNamed(name, () => bucketNamed(bucket, registry), registry);
    const entry = await stored.bucket.lookup(key);
    const isInMemory = stored.peek(key) !== undefined;
    const { publicDomain } = managedBucket(stored.bucketId, restApi.projects());
    const url = publicUrl(restApi.place(), publicDomain, key);

    const readSha256 = read && entry.state === "object" ? await readDigest(stored.bucket, entry.info) : undefined;
    return context.json({ bucket: stored.bucketId, key, url, ...entryView(entry), isInMemory, readSha256 });
  });
  addChange(calls, parts, {
    call: deleteObjects,
    operation: "delete",
    change: (stored, key, { reason, forMs }) => stored.delete(key, reason, forMs),
  });
  addChange(calls, parts, {
    call: undeleteObjects,
    operation: "undelete",
    change: (stored, key) => stored.undelete(key),
  });
  addChange(calls, parts, {
    call: purgeObjects,
    operation: "purge",
    change: (stored, key, { hard }) => stored.purge(key, { hard }),
  });
}

/** Undefined: the bytes are damaged, or have just been removed. */
async function readDigest(bucket: Pick<Bucket, "open">, info: ObjectInfo): Promise<string | undefined> {
  try {
    return await digestOf(await bucket.open(info), info.size, "sha256");
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return undefined;
    throw error;
  }
}

/** All changes select their objects alike. */
type Selection = InputOf<typeof undeleteObjects>;

function addChange<Call extends Contract>(
  calls: Calls,
  { registry, cluster, log, operations, usage }: ObjectParts,
  {
    call,
    operation,
    change,
  }: {
    readonly call: Call;
    readonly operation: "delete" | "undelete" | "purge";
    /** Resolves once the change is durable; false: there was nothing to change. */
    readonly change: (stored: Stored, key: Key, how: InputOf<Call>) => Promise<boolean>;
  },
): void {
  calls.add(call, (context, body) => {
    // TypeScript cannot infer that each of these calls has the fields of the selection.
    const { bucket, names: given, prefix, ...how } = body as Selection;
    const targets = targetsOf({ bucket, names: given, prefix }, registry);
    const audit = auditOf(context, log, { operation, ...how, ...targets.logged });
    const work = async ({ name, find }: Target): Promise<ChangeLine> => {
      try {
        const { stored, key } = await find();
        const changed = await change(stored, key, body);
        return { bucket: stored.bucketId, key, changed };
      } catch (error) {
        const known = asHuiyuanError(error);
        return { name, code: known.code, message: messageOf(known) };
      }
    };
    const counts: ChangeCounts = { changed: 0, unchanged: 0, failed: 0 };
    return auditedStream(context, { audit, counts }, async function* (signal) {
      for await (const line of inParallel(targets.all(signal), { places: PLACES, work, signal })) {
        counts["code" in line ? "failed" : line.changed ? "changed" : "unchanged"] += 1;
        if ("key" in line && line.changed) {
          operations.record({ ...entryOf(context, operation), bucketId: line.bucket, fileid: line.key });
          usage.count(line.bucket, operation, { isFailed: false, bytes: 0 });
        }
        yield line;
      }
      counts.confirmation = await cluster?.confirmed();
    });
  });
}

interface Target {
  readonly name: string;
  readonly find: () => Promise<NamedObject>;
}

/**
 * `logged`: for the audit log. Throws request_invalid before any change: unknown bucket, or not exactly one of names
 * and prefix.
 */
function targetsOf({ names: given, prefix, bucket: name }: Selection, domains: Domains) {
  if ((given === undefined) === (prefix === undefined)) throw invalid('give either "names" or "prefix"');
  let named: Stored | undefined;
  const bucket = () => (named ??= bucketNamed(name, domains));
  if (name !== undefined) bucket();
  if (given !== undefined) {
    const all = given.map((each): Target => ({ name: each, find: () => findNamed(each, bucket, domains) }));
    return { logged: loggedNames(given), all: () => all };
  }
  const stored = bucket();
  const logged = { bucket: stored.bucketId, prefix: loggedName(prefix ?? "") };
  return { logged, all: (signal: AbortSignal) => withPrefix(stored, prefix ?? "", signal) };
}

async function* withPrefix(stored: Stored, prefix: string, signal: AbortSignal): AsyncIterable<Target> {
  let after: Key | undefined;
  do {
    const page = await stored.bucket.list({ prefix, after, limit: PAGE, signal });
    for (const { key } of page.objects) yield { name: key, find: async () => ({ stored, key }) };
    after = page.next;
  } while (after !== undefined);
}

type Entry = Awaited<ReturnType<Stored["lookup"]>>;

/** One object of a listing. */
export function objectView(info: ObjectInfo): object {
  const { key, size, hashes, image, headers, provenance, modifiedAt, storedAt, isSuspect, isDamaged = false } = info;
  const { via, originUrl, originEtag, originLastModified, fetchedAt, validated } = provenance;
  return {
    key,
    size,
    mediaType: MEDIA_TYPES[image.format],
    format: image.format,
    width: image.width,
    height: image.height,
    etag: etagOf(hashes),
    ...hashes,
    headers,
    modifiedAt: time(modifiedAt),
    storedAt: time(storedAt),
    isSuspect,
    isDamaged,
    provenance: {
      via,
      originUrl,
      originEtag,
      originLastModified,
      fetchedAt: time(fetchedAt),
      validatedAt: time(validated?.at),
    },
  };
}

/** The state of a key in a bucket. `failure`: the error code of a store that did not answer. */
export function entryView(entry: Entry): object {
  const { state, epoch } = entry;
  if (state === "object") {
    const { info, isStale, certainty } = entry;
    return { state, epoch, isStale, isQueued: certainty !== undefined, object: objectView(info) };
  }
  if (state === "tombstone") return { state, epoch, tombstone: tombstoneView(entry) };
  return { state, epoch, failure: entry.failure?.code };
}

function tombstoneView({ deletedAt, reason, expiresAt }: Extract<Entry, { readonly state: "tombstone" }>): object {
  return { deletedAt: time(deletedAt), reason, expiresAt: time(expiresAt) };
}

function time(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined;
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

export function addVariantsCall(calls: Calls, { registry }: { readonly registry: Domains }): void {
  calls.add(listVariants, async (context, input) => {
    const { bucketId, bucket } = bucketNamed(input.bucket, registry);
    const [site] = registry.buckets().get(bucketId) ?? [];
    const key = toKey(input.key);
    const entry = await bucket.lookup(key);
    if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
    if (entry.state !== "object" || site === undefined)
      throw new HuiyuanError("not_found", `there is no object "${key}" in ${bucketId}`);
    const { after, limit } = input;
    const page = await site.variants.list(entry.info, { after, limit, signal: context.req.raw.signal });
    const aliases = aliasesByVariant(site);
    const variants = page.variants.map(({ name, info: { image, size, storedAt } }) => ({
      ...{ name, ...aliases.get(name), format: image.format, mediaType: MEDIA_TYPES[image.format] },
      ...{ width: image.width, height: image.height, size, storedAt: new Date(storedAt).toISOString() },
    }));
    return context.json({ bucket: bucketId, key, sha256: entry.info.hashes.sha256, variants, next: page.next });
  });
}

/** By the name of the variant. Aliases with image watermarks never match: the name has the watermark's bytes too. */
function aliasesByVariant({ aliases }: Site): ReadonlyMap<string, { readonly alias: string; readonly recipe: string }> {
  const formats = ["autoAvif", "autoWebp", "autoPlain"] as const;
  const recipesOf = (named: Site["styles"][number]) => formats.map((format) => named.negotiated?.(format) ?? named);
  return new Map(
    [...aliases].flatMap(([alias, named]) =>
      recipesOf(named).map(({ name, recipe }) => [name, { alias, recipe: canonicalText(recipe) }] as const),
    ),
  );
}
