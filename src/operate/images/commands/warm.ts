// `huiyuan warm`: fetches a list of images before clients request them, at a limited rate.
import { type Command, InvalidArgumentError } from "commander";
import { adminCommand, type BucketFlags, type Session, withBucket, withServer } from "../../cli/admin-command.ts";
import { createStatusLine, type StatusLine, shown, type Terminal, wholeNumber } from "../../cli/terminal.ts";
import type { WarmCounts, WarmLine, warmObjects } from "../contract.ts";
import { countLines, inBatches, linesOf } from "./name-list.ts";

interface WarmFlags extends BucketFlags {
  readonly domain?: string;
  readonly rate?: number;
  readonly concurrency: number;
}

const HELP = `Each line of FILE is the URL of an image, as clients request it, or a key. Blanks
are part of a name, and there are no comments. Stored images are skipped, purged
ones are fetched again. Ctrl-C stops; run the same list again to go on.
The exit code is 1 if a fetch failed. Images that the origin lacks are no failure.

Examples:
  huiyuan warm urls.txt --rate 20
  find-new-images | huiyuan warm - --domain img.example.com --concurrency 8`;

export function warmCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "warm", HELP))
    .argument("<file>", "file with one name a line; - is standard input")
    .option("--domain <host>", "domain through which keys are fetched (default: the bucket's first mirrored one)")
    .option("--rate <count>", "fetch at most this many names a second, such as 20 or 0.5", parseRate)
    .option("--concurrency <count>", "fetch this many at the same time, 1 to 64", (text) => wholeNumber(text, 64), 4)
    .action(async (file: string, flags: WarmFlags) => {
      await withServer(flags, terminal, async (session) => {
        const status = createStatusLine(terminal, flags.json);
        try {
          const counts = await warm(session, file, { flags, status });
          status.clear();
          await session.show({ end: counts }, summary(counts));
          return (counts.failed ?? 0) > 0 ? 1 : 0;
        } finally {
          status.clear();
        }
      });
    });
}

type Counts = Partial<WarmCounts>;

async function warm(
  { client, signal, show }: Session,
  file: string,
  { flags, status }: { readonly flags: WarmFlags; readonly status: StatusLine },
): Promise<Counts> {
  const { bucket, domain, rate, concurrency } = flags;
  const total = status.isShown && file !== "-" ? await countLines(file) : undefined;
  const startedAt = performance.now();
  const counts: Counts = {};
  for await (const names of inBatches(linesOf(file))) {
    const body = { names, bucket, domain, rate, concurrency };
    for await (const line of client.stream<typeof warmObjects>("post /warm", body, signal)) {
      counts[line.result] = (counts[line.result] ?? 0) + 1;
      const text = describe(line);
      if (text !== undefined) status.clear();
      await show(line, text);
      status.show(progressText(counts, total, performance.now() - startedAt));
    }
  }
  return counts;
}

/** `total`: names in the list, if known. */
function progressText(counts: Counts, total: number | undefined, elapsedMs: number): string {
  const done = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const speed = (done * 1_000) / Math.max(1, elapsedMs);
  const left = total === undefined ? "" : ` of ${total}, ${Math.ceil((total - done) / speed)} s left`;
  return `${done} names${left}, ${speed.toFixed(1)}/s, ${counts.failed ?? 0} failed`;
}

/** The text for each result; undefined: it has no line of its own. */
const EXPLAINED: Readonly<Record<WarmLine["result"], string | undefined>> = {
  ...{ fetched: undefined, present: undefined, confirmed: undefined },
  missing: "the origin does not have it",
  deleted: "deleted by an operator; see `huiyuan undelete`",
  unmirrored: "its domain has no mirror for it",
  unstored: "the answer may not be stored (damaged, or no-store), or another tool's object has this name",
  failed: "",
};

function describe({ name, result, message }: WarmLine): string | undefined {
  const why = message ?? EXPLAINED[result];
  return why === undefined ? undefined : `${result.padEnd(10)} ${shown(name)}: ${shown(why)}`;
}

function summary(counts: Counts): string {
  const parts = Object.entries(counts).map(([result, count]) => `${count} ${result}`);
  return parts.join(", ") || "the list is empty";
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || rate < 0.01 || rate > 10_000)
    throw new InvalidArgumentError("It must be a number from 0.01 to 10000.");
  return rate;
}
