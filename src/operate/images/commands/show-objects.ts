// `huiyuan stat` shows all facts about one object, or that it is deleted or not stored. `huiyuan ls` lists the objects
// of a bucket in the order of their keys, page by page.

import type { Command } from "commander";
import { adminCommand, type BucketFlags, pagesOf, withBucket, withServer } from "../../cli/admin-command.ts";
import { shown, type Terminal, wholeNumber } from "../../cli/terminal.ts";
import type { listObjects, ObjectPage, StatAnswer, showObject } from "../contract.ts";

const STAT_HELP = `The exit code is 1 if no object is stored under the name.

Examples:
  huiyuan stat http://img.example.com/2015/cat.jpg
  huiyuan stat 2015/cat.jpg --bucket 10001234/photos --json`;

export function statCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "stat", STAT_HELP))
    .argument("<name>", "URL of the object, as clients request it, or its key")
    .action(async (name: string, flags: BucketFlags) => {
      await withServer(flags, terminal, async ({ client, show }) => {
        const found = await client.call<typeof showObject>("get /objects/stat", { bucket: flags.bucket, name });
        const rows = rowsOf(found).filter(([, value]) => value !== undefined);
        await show(found, rows.map(([label, value]) => `${label.padEnd(14)} ${shown(String(value))}`).join("\n"));
        return found.state === "object" ? 0 : 1;
      });
    });
}

function rowsOf(found: StatAnswer): readonly (readonly [string, unknown])[] {
  const { bucket, key, url, object, tombstone } = found;
  return [
    ["bucket", bucket],
    ["key", key],
    ["url", url],
    ["state", stateOf(found)],
    ...(object === undefined ? [] : objectRows(object)),
    ["deleted", tombstone?.deletedAt],
    ["reason", tombstone?.reason],
    ["until", tombstone && (tombstone.expiresAt ?? "undelete or an upload")],
  ];
}

function stateOf({ state, isStale, isQueued, isInMemory, failure, object }: StatAnswer): string {
  if (state === "tombstone") return "deleted";
  if (state !== "object") return failure === undefined ? "not stored" : `unknown: the store failed (${failure})`;
  const more = [
    object?.isDamaged === true && "damaged: upload it again, or delete it",
    isInMemory && "in memory",
    isStale === true && "purged: the next request goes to the origin",
    isQueued === true && "pending for the remote store",
  ];
  return ["stored", ...more.filter((part) => part !== false)].join(", ");
}

function objectRows(object: NonNullable<StatAnswer["object"]>): readonly (readonly [string, unknown])[] {
  const { provenance: origin, width, height } = object;
  const pixels = width === undefined || height === undefined ? "" : `, ${width} × ${height}`;
  return [
    ["size", `${object.size} bytes`],
    ["image", `${object.mediaType}${pixels}${object.isSuspect ? ", suspect: not whole" : ""}`],
    ["etag", object.etag],
    ["sha256", object.sha256],
    ["md5", object.md5],
    ["modified", object.modifiedAt],
    ["stored", object.storedAt],
    ["came by", origin.via],
    ["from", origin.originUrl],
    ["fetched", origin.fetchedAt],
    ["confirmed", origin.validatedAt],
    ["origin's etag", origin.originEtag],
    ["origin's date", origin.originLastModified],
  ];
}

interface ListFlags extends BucketFlags {
  readonly after?: string;
  readonly limit?: number;
}

type ListedObject = ObjectPage["objects"][number];

const PAGE = 1_000;
const LIST_HELP = `Columns: bytes, format, stored at (UTC), source (or "damaged"), key.

Examples:
  huiyuan ls
  huiyuan ls 2015/07/ --bucket 10001234/photos --limit 20
  huiyuan ls --json | wc -l`;

export function lsCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "ls", LIST_HELP))
    .argument("[prefix]", "only keys that begin so", "")
    .option("--after <key>", "only keys after this one")
    .option("--limit <count>", "stop after this many objects", (text) => wholeNumber(text))
    .action(async (prefix: string, flags: ListFlags) => {
      await withServer(flags, terminal, async (session) => {
        const { bucket, json, after, limit = Number.POSITIVE_INFINITY } = flags;
        let listed = 0;
        const query = { bucket, prefix, after, limit: Math.min(PAGE, limit) };
        for await (const { objects } of pagesOf<typeof listObjects>(session, "get /objects", query)) {
          for (const object of objects.slice(0, limit - listed)) await session.show(object, describe(object));
          listed += objects.length;
          if (listed >= limit) return 0;
        }
        if (listed === 0 && !json) terminal.err.write("no matching objects are stored\n");
        return 0;
      });
    });
}

function describe({ size, format, storedAt, provenance, key, isDamaged }: ListedObject): string {
  const via = isDamaged ? "damaged" : provenance.via;
  const time = storedAt.slice(0, 16).replace("T", " ");
  return `${String(size).padStart(10)}  ${format.padEnd(4)}  ${time}  ${via.padEnd(9)}  ${shown(key)}`;
}
