// `huiyuan log`: prints the operation log (操作日志) of the buckets as text, JSON lines, or CSV with the documented
// columns.
import { type Command, Option } from "commander";
import { OPERATION_NAMES, type OperationName } from "../admin/operation.ts";
import { adminCommand, type BucketFlags, pagesOf, type Session, withServer } from "../cli/admin-command.ts";
import { shown, type Terminal, wholeNumber } from "../cli/terminal.ts";
import type { LogEntry, showLog } from "./contract.ts";
import { CSV_HEADER, csvLine } from "./logged-operation.ts";

interface LogFlags extends BucketFlags {
  readonly operation?: OperationName;
  readonly fileid?: string;
  readonly from?: string;
  readonly to?: string;
  readonly latest: number;
  readonly all: boolean;
  readonly csv: boolean;
}

const PAGE = 1_000;
const HELP = `Shows the last 30 days on which the server ran, of the REST API and of
operators. Downloads are only counted: see \`huiyuan usage\`.
Columns: time (UTC), operation, code, bytes, client, bucket, fileid. CSV has the
columns of the REST API, then operation, bytes, useragent and requestid.

Examples:
  huiyuan log
  huiyuan log --fileid 2015/07/cat.jpg
  huiyuan log --all --from 2026-11-01 --to 2026-11-30 --csv > november.csv
  huiyuan log --operation delete --latest 1000 --json`;

export function logCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "log", HELP)
    .option("--bucket <appid/name>", "only this bucket")
    .addOption(new Option("--operation <name>", "only this operation").choices(OPERATION_NAMES))
    .option("--fileid <fileid>", "only this file")
    .option("--from <day or time>", "first day or time: 2026-11-01 or 2026-11-01T08:00:00Z")
    .option("--to <day or time>", "last day or time; a day includes its end")
    .option("--latest <count>", "show only this many of the latest entries, 1 to 1000", parseLatest, 100)
    .option("--all", "show all matching entries", false)
    .option("--csv", "print CSV (RFC 4180)", false)
    .action(async (flags: LogFlags, self: Command) => {
      if (flags.csv && flags.json) self.error("error: use --csv or --json, not both");
      await withServer(flags, terminal, async (session) => {
        const { csv, json } = flags;
        if (csv) await session.print(`${CSV_HEADER}\r`);
        let count = 0;
        for await (const entry of entriesOf(session, flags)) {
          count += 1;
          await session.show(entry, csv ? `${csvLine(entry)}\r` : describe(entry));
        }
        if (count === 0 && !json && !csv) terminal.err.write("no matching entries in the log\n");
        return 0;
      });
    });
}

async function* entriesOf(session: Session, flags: LogFlags): AsyncIterable<LogEntry> {
  const { bucket, operation, fileid, from, to, latest, all } = flags;
  const filter = { bucket, operation, fileid, from, to };
  if (!all) yield* (await session.client.call<typeof showLog>("get /log", { ...filter, latest })).entries;
  else
    for await (const { entries } of pagesOf<typeof showLog>(session, "get /log", { ...filter, limit: PAGE }))
      yield* entries;
}

function describe({ time, operation, code, bytes, client, bucket, fileid }: LogEntry): string {
  const columns = [
    ...[time.slice(0, 19).replace("T", " "), operation.padEnd(8), String(code).padStart(5), String(bytes).padStart(9)],
    ...[shown(client).padEnd(15), shown(bucket), shown(fileid)],
  ];
  return columns.join("  ");
}

const parseLatest = (text: string) => wholeNumber(text, 1_000, "; --all has no limit.");
