// `huiyuan stat`: shows all facts about one object, or that it is deleted or not stored.
import type { Command } from "commander";
import { adminCommand, type BucketFlags, withBucket, withServer } from "../../cli/admin-command.ts";
import { shown, type Terminal } from "../../cli/terminal.ts";
import { type StatAnswer, showObject } from "../contract.ts";

const HELP = `The exit code is 1 if no object is stored under the name.

Examples:
  huiyuan stat http://img.example.com/2015/cat.jpg
  huiyuan stat 2015/cat.jpg --bucket 10001234/photos --json`;

export function statCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "stat", "show everything about one object", HELP))
    .argument("<name>", "URL of the object, as clients request it, or its key")
    .action(async (name: string, flags: BucketFlags) => {
      await withServer(flags, terminal, async ({ client, show }) => {
        const found = await client.call(showObject, { bucket: flags.bucket, name });
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
