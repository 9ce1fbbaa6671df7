// Admin API calls for stored objects: list, stat, delete, undelete, purge. A change of many objects answers with a line
// for each of them; a key that cannot be changed does not stop the others.
import type * as z from "zod";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import { isKey, type Key, type ObjectInfo } from "../../../core/object.ts";
import { type Bucket, digestOf } from "../../../serve/bucket/contract/bucket.ts";
import { publicUrl } from "../../../serve/http/response/public-url.ts";
import type { RestApiParts } from "../../../serve/http/rest/call.ts";
import type { Stored } from "../../../serve/mirror/stored/stored.ts";
import { auditedStream, auditOf, callerOf, loggedName, loggedNames, messageOf } from "../../admin/audit.ts";
import type { Calls, InputOf } from "../../admin/calls.ts";
import { inParallel, untilAborted } from "../../admin/in-parallel.ts";
import { bucket as bucketField, flag, invalid, names, text, whole } from "../../admin/input.ts";
import { bucketNamed, type Domains, findNamed, managedBucket, type NamedObject } from "../../admin/naming.ts";
import { type ChangeLine, changeCounts, changeLine, objectPage, statAnswer } from "../../admin/openapi/answers.ts";
import type { InsightParts } from "../../operations/calls.ts";
import { entryView, objectView } from "./object-view.ts";

export interface ObjectParts extends InsightParts {
  readonly registry: Domains;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

interface ObjectCallParts extends ObjectParts {
  readonly restApi: Pick<RestApiParts, "projects" | "place">;
}

const MAX_LISTED = 1_000;
const LISTED = 100;
const DELETED_BY_OPERATOR = "deleted by an operator";
const MAX_LIFE_MS = 100 * 365 * 86_400_000;
// The store commits concurrent changes as one group.
const PLACES = 32;
const PAGE = 1_000;

/** Either names or a prefix; targetsOf() checks that exactly one is given. */
const SELECTION = {
  bucket: bucketField(),
  names: names().optional().describe("Download URLs of the objects, or keys of the bucket."),
  prefix: text().optional().describe("Instead of names: all stored objects of the bucket whose keys begin with it."),
};

export function addObjectCalls(calls: Calls, parts: ObjectCallParts): void {
  const { registry, restApi } = parts;
  calls.get(
    "/objects",
    {
      summary: "List a page of a bucket's objects, by ascending keys",
      fields: {
        bucket: bucketField(),
        prefix: text().optional().describe("Prefix of the keys."),
        after: text().optional().describe("The `next` of the previous page."),
        limit: whole(1, MAX_LISTED).default(LISTED),
      },
      answer: { json: objectPage },
    },
    async (context, { prefix = "", after, limit, ...query }) => {
      const { bucketId, bucket } = bucketNamed(query.bucket, registry);
      if (after !== undefined && !isKey(after)) throw invalid('"after" is not a key');
      const page = await bucket.list({ prefix, after, limit, signal: context.req.raw.signal });
      return context.json({ bucket: bucketId, objects: page.objects.map(objectView), next: page.next });
    },
  );
  calls.get(
    "/objects/stat",
    {
      summary: "Show one object, its tombstone, or its absence",
      fields: {
        bucket: bucketField(),
        name: text().describe("A download URL of the object, or its key."),
        read: flag().default(false).describe("true: also read the stored bytes, and tell their SHA-256."),
      },
      answer: { json: statAnswer },
    },
    async (context, { bucket, name, read }) => {
      const { stored, key } = await findNamed(name, () => bucketNamed(bucket, registry), registry);
      const entry = await stored.bucket.lookup(key);
      const isInMemory = stored.peek(key) !== undefined;
      const { publicDomain } = managedBucket(stored.bucketId, restApi.projects());
      const url = publicUrl(restApi.place(), publicDomain, key);

      const readSha256 = read && entry.state === "object" ? await readDigest(stored.bucket, entry.info) : undefined;
      return context.json({ bucket: stored.bucketId, key, url, ...entryView(entry), isInMemory, readSha256 });
    },
  );
  addChange(calls, parts, {
    operation: "delete",
    summary: "Delete objects, so that they are not fetched from an origin again",
    fields: {
      reason: text().default(DELETED_BY_OPERATOR),
      forMs: whole(1, MAX_LIFE_MS).optional().describe("Milliseconds until the deletion expires."),
    },
    change: (stored, key, { reason, forMs }) => stored.delete(key, reason, forMs),
  });
  addChange(calls, parts, {
    operation: "undelete",
    summary: "Remove tombstones, so that the objects may be fetched again",
    fields: {},
    change: (stored, key) => stored.undelete(key),
  });
  addChange(calls, parts, {
    operation: "purge",
    summary: "Mark mirrored objects stale, so that the next request revalidates them",
    fields: { hard: flag().default(false).describe("true: delete the stored bytes now.") },
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

function addChange<Fields extends z.ZodRawShape>(
  calls: Calls,
  { registry, log, now, operations, usage }: ObjectParts,
  spec: {
    readonly operation: "delete" | "undelete" | "purge";
    readonly summary: string;
    readonly fields: Fields;
    /** Resolves once the change is durable; false: there was nothing to change. */
    readonly change: (stored: Stored, key: Key, how: InputOf<Fields>) => Promise<boolean>;
  },
): void {
  const { operation, summary, change } = spec;
  const fields = { ...SELECTION, ...spec.fields };
  const answer = { line: changeLine, end: changeCounts };
  calls.post(`/objects/${operation}`, { summary, fields, answer }, (context, body) => {
    // TypeScript cannot infer that the output of the joined shape is the output of each part.
    const { bucket, names: given, prefix, ...how } = body as InputOf<typeof SELECTION>;
    const targets = targetsOf({ bucket, names: given, prefix }, registry);
    const audit = auditOf(context, log, { operation, ...how, ...targets.logged });
    const common = { operation, ...callerOf(context), code: 0, message: "SUCCESS", bytes: 0 };
    const work = async ({ name, find }: Target): Promise<ChangeLine> => {
      try {
        const { stored, key } = await find();
        const changed = await change(stored, key, how as InputOf<Fields>);
        return { bucket: stored.bucketId, key, changed };
      } catch (error) {
        const known = asHuiyuanError(error);
        return { name, code: known.code, message: messageOf(known) };
      }
    };
    const counts = { changed: 0, unchanged: 0, failed: 0 };
    return auditedStream(context, { audit, counts }, async function* (signal) {
      for await (const line of inParallel(untilAborted(targets.all(signal), signal), { places: PLACES, work })) {
        counts["code" in line ? "failed" : line.changed ? "changed" : "unchanged"] += 1;
        if ("key" in line && line.changed) {
          operations.record({ ...common, at: now(), bucketId: line.bucket, fileid: line.key });
          usage.count(line.bucket, operation, { isFailed: false, bytes: 0 });
        }
        yield line;
      }
    });
  });
}

interface Target {
  readonly name: string;
  readonly find: () => Promise<NamedObject>;
}

interface Targets {
  /** For the audit log. */
  readonly logged: object;
  all(signal: AbortSignal): AsyncIterable<Target> | Iterable<Target>;
}

/** Throws request_invalid before any change: unknown bucket, or not exactly one of names and prefix. */
function targetsOf({ names: given, prefix, bucket: name }: InputOf<typeof SELECTION>, domains: Domains): Targets {
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
  return { logged, all: (signal) => withPrefix(stored, prefix ?? "", signal) };
}

async function* withPrefix(
  stored: Stored,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Target, void, undefined> {
  let after: Key | undefined;
  do {
    const page = await stored.bucket.list({ prefix, after, limit: PAGE, signal });
    for (const { key } of page.objects) yield { name: key, find: async () => ({ stored, key }) };
    after = page.next;
  } while (after !== undefined);
}
