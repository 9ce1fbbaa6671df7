// `huiyuan warm`: fetches a list of images before clients request them, at a limited rate.
import { MultiBar } from "cli-progress";
import { type Command, InvalidArgumentError } from "commander";
import type { WarmCounts, WarmLine } from "../http/api/openapi/answers.ts";
import { adminCommand, type BucketFlags, type Session, withBucket, withServer } from "./admin-command.ts";
import { countLines, inBatches, linesOf } from "./name-list.ts";
import { shown, type Terminal, wholeNumber } from "./terminal.ts";

interface WarmFlags extends BucketFlags {
  readonly domain?: string;
  readonly rate?: number;
  readonly concurrency: number;
}

const HELP = `One name a line: a URL of the image, as clients request it, or a key. There are no comments, and blanks are part of a name.
Stored images are skipped; purged ones are fetched again. Keys are fetched through --domain, by default the bucket's first
mirrored domain. Ctrl-C stops; the same list can be used again. The exit code is 1 if a fetch failed; images that the
origin lacks are not failures.

Examples:
  huiyuan warm urls.txt --rate 20
  find-new-images | huiyuan warm - --domain img.example.com --concurrency 8`;

export function warmCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "warm", "fetch a list of images in advance", HELP))
    .argument("<file>", "list of names; - is standard input")
    .option("--domain <host>", "domain whose mirror fetches keys")
    .option("--rate <count>", "largest number of names a second, such as 20 or 0.5", parseRate)
    .option("--concurrency <count>", "concurrent names, 1 to 64", (text) => wholeNumber(text, 64), 4)
    .action(async (file: string, flags: WarmFlags) => {
      await withServer(flags, terminal, async (session) => {
        const progress = await startProgress(file, flags, terminal);
        try {
          const counts = await warm(session, file, { flags, progress });
          progress.stop();
          await session.show({ end: counts }, summary(counts));
          return (counts.failed ?? 0) > 0 ? 1 : 0;
        } finally {
          progress.stop();
        }
      });
    });
}

type Counts = Partial<WarmCounts>;

async function warm(
  { client, signal, show }: Session,
  file: string,
  { flags, progress }: { readonly flags: WarmFlags; readonly progress: Progress },
): Promise<Counts> {
  const { bucket, domain, rate, concurrency } = flags;
  const counts: Counts = {};
  for await (const names of inBatches(linesOf(file))) {
    const body = { names, bucket, domain, rate, concurrency };
    for await (const line of client.stream<WarmLine>("/warm", body, signal)) {
      counts[line.result] = (counts[line.result] ?? 0) + 1;
      progress.step(counts);
      const text = describe(line);
      if (text !== undefined && progress.say !== undefined) progress.say(text);
      else await show(line, text);
    }
  }
  return counts;
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

interface Progress {
  step(counts: Counts): void;
  /** Prints above the bar; undefined without one. */
  readonly say: ((line: string) => void) | undefined;
  stop(): void;
}

/** A progress bar on a terminal, nothing elsewhere. For standard input it only counts, because the total is unknown. */
async function startProgress(file: string, { json }: WarmFlags, terminal: Terminal): Promise<Progress> {
  if (json || !terminal.isInteractive || process.stderr.isTTY !== true) return { step() {}, say: undefined, stop() {} };
  const total = file === "-" ? 0 : await countLines(file);
  const line = "{value} names, {speed}/s{failed}";
  const bars = new MultiBar({
    format: total === 0 ? line : `{bar} {value}/{total}, {speed}/s, {eta_formatted} left{failed}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    stream: process.stderr,
  });
  const startedAt = performance.now();
  const bar = bars.create(total, 0, { speed: 0, failed: "" });
  return {
    step(counts) {
      const done = Object.values(counts).reduce((sum, count) => sum + count, 0);
      const speed = Math.round((done * 1_000) / Math.max(1, performance.now() - startedAt));
      bar.update(done, { speed, failed: counts.failed === undefined ? "" : `, ${counts.failed} failed` });
    },
    say: (text) => bars.log(`${text}\n`),
    stop: () => bars.stop(),
  };
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || rate < 0.01 || rate > 10_000)
    throw new InvalidArgumentError("It must be a number from 0.01 to 10000.");
  return rate;
}
