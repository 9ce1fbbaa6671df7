// `huiyuan ls`: lists the objects of a bucket in the order of their keys, page by page.
import type { Command } from "commander";
import { adminCommand, type BucketFlags, type Session, withBucket, withServer } from "./admin-command.ts";
import { isObject } from "./reach-server.ts";
import { shown, type Terminal, wholeNumber } from "./terminal.ts";

interface ListFlags extends BucketFlags {
  readonly after?: string;
  readonly limit?: number;
}

const PAGE = 1_000;
const HELP = `Columns: bytes, format, time of storing (UTC), source (or damaged), key.

Examples:
  huiyuan ls
  huiyuan ls 2015/07/ --bucket 10001234/photos --limit 20
  huiyuan ls --json | wc -l`;

export function lsCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "ls", "list stored objects", HELP))
    .argument("[prefix]", "only keys with this prefix", "")
    .option("--after <key>", "only keys after this one")
    .option("--limit <count>", "largest number of objects", (text) => wholeNumber(text))
    .action(async (prefix: string, flags: ListFlags) => {
      await withServer(flags, terminal, async (session) => {
        const count = await list(session, prefix, flags);
        if (count === 0 && !flags.json) terminal.err.write("no matching objects are stored\n");
        return 0;
      });
    });
}

/** Returns the number of printed objects. */
async function list({ client, signal, print, printJson }: Session, prefix: string, flags: ListFlags): Promise<number> {
  const { bucket, json, limit: wanted = Number.POSITIVE_INFINITY } = flags;
  let count = 0;
  let after = flags.after;
  while (count < wanted && !signal.aborted) {
    const limit = Math.min(PAGE, wanted - count);
    const page = await client.get("/objects", { bucket, prefix, after, limit });
    if (!isObject(page) || !Array.isArray(page.objects)) return count;
    for (const object of page.objects) await (json ? printJson(object) : print(describe(object)));
    count += page.objects.length;
    if (typeof page.next !== "string") return count;
    after = page.next;
  }
  return count;
}

function describe(object: unknown): string {
  if (!isObject(object)) return "";
  const { size, format, storedAt, provenance, key, isDamaged } = object;
  const source = isObject(provenance) ? String(provenance.via) : "";
  const via = isDamaged === true ? "damaged" : source;
  const time = String(storedAt).slice(0, 16).replace("T", " ");
  return `${String(size).padStart(10)}  ${String(format).padEnd(4)}  ${time}  ${via.padEnd(9)}  ${shown(String(key))}`;
}
