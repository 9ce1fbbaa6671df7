// `huiyuan usage`: prints usage counters of the buckets by day.
import type { Command } from "commander";
import { adminCommand, type BucketFlags, withServer } from "../cli/admin-command.ts";
import { shown, type Terminal } from "../cli/terminal.ts";
import type { DayOfUse, showUsage } from "./contract.ts";

interface UsageFlags extends BucketFlags {
  readonly from?: string;
  readonly to?: string;
}

const HELP = `One line for each day (UTC) and bucket, for the last 30 days if you name no day.
The server keeps 400 days with use. A crash loses the counts of its last 5 s.
Columns: day, bucket, downloads, bytes sent, uploads, bytes uploaded, copies,
queries, deletes, objects stored, bytes stored. The last two are "-" if nothing
was counted on that day. Failed requests are included; --json shows their number.

Examples:
  huiyuan usage
  huiyuan usage --bucket photos --from 2026-11-01 --to 2026-11-30 --json`;

export function usageCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "usage", HELP)
    .option("--bucket <appid/name>", "only this bucket")
    .option("--from <day>", "first day, such as 2026-11-01")
    .option("--to <day>", "last day (default: today)")
    .action(async (flags: UsageFlags) => {
      const { bucket, from, to, json } = flags;
      await withServer(flags, terminal, async ({ client, print, show }) => {
        const { days } = await client.call<typeof showUsage>("get /usage", { bucket, from, to });
        if (json) for (const day of days) await show(day, undefined);
        else if (days.length === 0) terminal.err.write("no usage in this time\n");
        else for (const line of table(days)) await print(line);
        return 0;
      });
    });
}

const TITLES = "day bucket downloads sent uploads received copies queries deletes objects held".split(" ");

function table(days: readonly DayOfUse[]): readonly string[] {
  const rows = [TITLES, ...days.map(rowOf)];
  const widths = TITLES.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join("  "),
  );
}

function rowOf({ day, bucket, operations, stored }: DayOfUse): readonly string[] {
  const of = (use: string, what: "requests" | "bytes") => String(operations[use]?.[what] ?? 0);
  return [
    ...[day, shown(bucket)],
    ...["download", "upload"].flatMap((use) => [of(use, "requests"), of(use, "bytes")]),
    ...["copy", "query", "delete"].map((use) => of(use, "requests")),
    ...(stored === undefined ? ["-", "-"] : [String(stored.objects), String(stored.bytes)]),
  ];
}
