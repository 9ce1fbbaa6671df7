// Admin API calls for stored objects: list, stat, delete, undelete, purge. changes.ts makes the changes.
import * as z from "zod";
import type { Log } from "../../../core/log.ts";
import { isKey } from "../../../core/object.ts";
import { auditedStream, auditOf, loggedName, loggedNames } from "../audit.ts";
import type { Calls } from "../calls.ts";
import { bucket as bucketField, flag, invalid, names, text, whole } from "../input.ts";
import { type InsightParts, recordChanges } from "../insight.ts";
import { bucketNamed, type Domains, findNamed } from "../naming.ts";
import { changeCounts, changeLine, objectPage, statAnswer } from "../openapi/answers.ts";
import { type Change, type ChangeCounts, changeAll, type Selection } from "./changes.ts";
import { entryView, objectView } from "./object-view.ts";

export interface ObjectParts extends InsightParts {
  readonly registry: Domains;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const MAX_LISTED = 1_000;
const LISTED = 100;
const DELETED_BY_OPERATOR = "deleted by an operator";
const MAX_LIFE_MS = 100 * 365 * 86_400_000;

/** Either names or a prefix; selectionOf() checks that exactly one is given. */
const SELECTION = {
  bucket: bucketField(),
  names: names().optional().describe("Download URLs of the objects, or keys of the bucket."),
  prefix: text().optional().describe("Instead of names: all stored objects of the bucket whose keys begin with it."),
};

export function addObjectCalls(calls: Calls, parts: ObjectParts): void {
  const { registry } = parts;
  calls.add(
    {
      method: "get",
      path: "/objects",
      summary: "List a page of a bucket's objects, by ascending keys",
      input: z.object({
        bucket: bucketField(),
        prefix: text().optional().describe("Prefix of the keys."),
        after: text().optional().describe("The `next` of the previous page."),
        limit: whole(1, MAX_LISTED).default(LISTED),
      }),
      answer: { kind: "json", schema: objectPage },
    },
    async (context, { prefix = "", after, limit, ...query }) => {
      const { bucketId, bucket } = bucketNamed(query.bucket, registry);
      if (after !== undefined && !isKey(after)) throw invalid('"after" is not a key');
      const page = await bucket.list({ prefix, after, limit, signal: context.req.raw.signal });
      return context.json({ bucket: bucketId, objects: page.objects.map(objectView), next: page.next });
    },
  );
  calls.add(
    {
      method: "get",
      path: "/objects/stat",
      summary: "Show one object, its tombstone, or its absence",
      input: z.object({
        bucket: bucketField(),
        name: text().describe("A download URL of the object, or its key."),
      }),
      answer: { kind: "json", schema: statAnswer },
    },
    async (context, { bucket, name }) => {
      const { stored, key } = await findNamed(name, () => bucketNamed(bucket, registry), registry);
      const entry = await stored.bucket.lookup(key);
      const isInMemory = stored.peek(key) !== undefined;
      return context.json({ bucket: stored.bucketId, key, ...entryView(entry), isInMemory });
    },
  );
  addChange(calls, parts, {
    kind: "delete",
    summary: "Delete objects, so that the origin does not bring them back",
    fields: {
      reason: text().default(DELETED_BY_OPERATOR),
      forMs: whole(1, MAX_LIFE_MS).optional().describe("Milliseconds until the deletion expires."),
    },
    read: ({ reason, forMs }) => ({ kind: "delete", reason, forMs }),
  });
  addChange(calls, parts, {
    kind: "undelete",
    summary: "Remove tombstones, so that the objects may be fetched again",
    fields: {},
    read: () => ({ kind: "undelete" }),
  });
  addChange(calls, parts, {
    kind: "purge",
    summary: "Mark mirrored objects stale, so that the next request revalidates them",
    fields: { hard: flag().default(false).describe("true: delete the stored bytes now.") },
    read: ({ hard }) => ({ kind: "purge", hard }),
  });
}

function addChange<Fields extends z.ZodRawShape>(
  calls: Calls,
  { registry, log, now, operations, usage }: ObjectParts,
  spec: {
    readonly kind: Change["kind"];
    readonly summary: string;
    readonly fields: Fields;
    readonly read: (input: z.output<z.ZodObject<Fields>>) => Change;
  },
): void {
  const { kind, summary, fields, read } = spec;
  const answer = { kind: "lines", line: changeLine, end: changeCounts } as const;
  const input = z.object({ ...SELECTION, ...fields });
  calls.add({ method: "post", path: `/objects/${kind}`, summary, input, answer }, (context, body) => {
    // TypeScript cannot infer that the output of the joined shape is the output of each part.
    const selection = selectionOf(body as z.output<z.ZodObject<typeof SELECTION>>, registry);
    const change = read(body as z.output<z.ZodObject<Fields>>);
    const counts: ChangeCounts = { changed: 0, unchanged: 0, failed: 0 };
    const { kind: operation, ...how } = change;
    const audit = auditOf(context, log, { operation, ...how, ...loggedSelection(selection) });
    return auditedStream(context, { audit, counts }, (signal) => {
      const lines = changeAll(selection, change, { domains: registry, counts, signal });
      return recordChanges(lines, { operations, usage, operation, context, now });
    });
  });
}

/** Throws request_invalid before any change: unknown bucket, or not exactly one of names and prefix. */
function selectionOf(body: z.output<z.ZodObject<typeof SELECTION>>, domains: Domains): Selection {
  const { names: given, prefix, bucket: name } = body;
  if ((given === undefined) === (prefix === undefined)) throw invalid('give either "names" or "prefix"');
  const bucket = () => bucketNamed(name, domains);
  if (name !== undefined || prefix !== undefined) bucket();
  // If there are no names, the check above ensures a prefix.
  return given === undefined ? { prefix: prefix as string, bucket } : { names: given, bucket };
}

function loggedSelection(selection: Selection): object {
  if ("prefix" in selection) return { bucket: selection.bucket().bucketId, prefix: loggedName(selection.prefix) };
  return loggedNames(selection.names);
}
