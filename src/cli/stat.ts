// `huiyuan stat`: shows all facts about one object, or that it is deleted or not stored.
import type { Command } from "commander";
import { adminCommand, type BucketFlags, withBucket, withServer } from "./admin-command.ts";
import { type Fields, isObject } from "./reach-server.ts";
import { shown, type Terminal } from "./terminal.ts";

const HELP = `The exit code is 1 if no object is stored under the name.

Examples:
  huiyuan stat http://img.example.com/2015/cat.jpg
  huiyuan stat 2015/cat.jpg --bucket 10001234/photos --json`;

export function statCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "stat", "show all facts about one object", HELP))
    .argument("<name>", "URL of the object, as clients request it, or a key")
    .action(async (name: string, flags: BucketFlags) => {
      await withServer(flags, terminal, async ({ client, print, printJson }) => {
        const found = await client.get("/objects/stat", { bucket: flags.bucket, name });
        if (flags.json) await printJson(found);
        else for (const [label, value] of rowsOf(found)) await print(`${label.padEnd(14)} ${shown(value)}`);
        return isObject(found) && found.state === "object" ? 0 : 1;
      });
    });
}

function rowsOf(found: unknown): readonly (readonly [string, string])[] {
  if (!isObject(found)) return [];
  const rows: [string, unknown][] = [
    ["bucket", found.bucket],
    ["key", found.key],
    ["state", stateOf(found)],
  ];
  if (isObject(found.object)) rows.push(...objectRows(found.object));
  if (isObject(found.tombstone)) {
    const { deletedAt, reason, expiresAt } = found.tombstone;
    rows.push(["deleted", deletedAt], ["reason", reason], ["until", expiresAt ?? "undelete or an upload"]);
  }
  return rows.filter(([, value]) => value !== undefined).map(([label, value]) => [label, String(value)]);
}

function stateOf({ state, isStale, isQueued, isInMemory, failure, object }: Fields): string {
  if (state === "tombstone") return "deleted";
  if (state !== "object") return failure === undefined ? "not stored" : `unknown: the store failed (${failure})`;
  const more = [
    ...(isObject(object) && object.isDamaged === true ? ["damaged: upload it again, or delete it"] : []),
    ...(isInMemory === true ? ["in memory"] : []),
    ...(isStale === true ? ["purged: the next request goes to the origin"] : []),
    ...(isQueued === true ? ["pending for the remote store"] : []),
  ];
  return ["stored", ...more].join(", ");
}

function objectRows(object: Fields): readonly [string, unknown][] {
  const { provenance, width, height } = object;
  const origin = isObject(provenance) ? provenance : {};
  const pixels = width === undefined || height === undefined ? "" : `, ${width} × ${height}`;
  return [
    ["size", `${object.size} bytes`],
    ["image", `${object.mediaType}${pixels}${object.isSuspect === true ? ", suspect: not whole" : ""}`],
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
