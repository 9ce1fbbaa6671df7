// `huiyuan ls`: lists the objects of a bucket in the order of their keys, page by page.
import type { Command } from "commander";
import { adminCommand, type BucketFlags, pagesOf, withBucket, withServer } from "../../cli/admin-command.ts";
import { shown, type Terminal, wholeNumber } from "../../cli/terminal.ts";
import { listObjects, type ObjectPage } from "../contract.ts";

interface ListFlags extends BucketFlags {
  readonly after?: string;
  readonly limit?: number;
}

type ListedObject = ObjectPage["objects"][number];

const PAGE = 1_000;
const HELP = `Columns: bytes, format, stored at (UTC), source (or "damaged"), key.

Examples:
  huiyuan ls
  huiyuan ls 2015/07/ --bucket 10001234/photos --limit 20
  huiyuan ls --json | wc -l`;

export function lsCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "ls", "list stored objects", HELP))
    .argument("[prefix]", "only keys that begin so", "")
    .option("--after <key>", "only keys after this one")
    .option("--limit <count>", "stop after this many objects", (text) => wholeNumber(text))
    .action(async (prefix: string, flags: ListFlags) => {
      await withServer(flags, terminal, async (session) => {
        const { bucket, json, after, limit = Number.POSITIVE_INFINITY } = flags;
        let listed = 0;
        const query = { bucket, prefix, after, limit: Math.min(PAGE, limit) };
        for await (const { objects } of pagesOf(session, listObjects, query)) {
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
