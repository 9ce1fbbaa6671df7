// `huiyuan warm`: fetches a list of images ahead, before clients ask for them, without hurrying the origin.
import { MultiBar } from "cli-progress";
import { type Command, InvalidArgumentError } from "commander";
import { isObject } from "./admin-client.ts";
import { adminCommand, type BucketFlags, type Session, withBucket, withServer } from "./admin-command.ts";
import { countLines, inBatches, linesOf } from "./name-list.ts";
import { shown } from "./shown.ts";
import type { Terminal } from "./terminal.ts";

interface WarmFlags extends BucketFlags {
  readonly domain?: string;
  readonly rate?: number;
  readonly concurrency: number;
}

const HELP = `One name a line: a URL under which clients ask for the image, or a key. Lines are taken as they are: there are no comments, and
blanks around a name are part of it. What is stored already is skipped; what was purged is asked for again. Keys are fetched as clients of --domain would, or else of the bucket's first mirrored domain. Ctrl-C
ends it; the same list may be given again. Ends with 1 where a fetch has failed; images that the origin lacks do not count.

Examples:
  huiyuan warm urls.txt --rate 20
  find-new-images | huiyuan warm - --domain img.example.com --concurrency 8`;

export function warmCommand(terminal: Terminal): Command {
  return withBucket(adminCommand(terminal, "warm", "fetch a list of images ahead", HELP))
    .argument("<file>", "list of names; - is standard input")
    .option("--domain <host>", "domain whose mirror fetches keys")
    .option("--rate <count>", "names a second at most, such as 20 or 0.5", parseRate)
    .option("--concurrency <count>", "names at the same time, 1 to 64", parsePlaces, 4)
    .action(async (file: string, flags: WarmFlags) => {
      await withServer(flags, terminal, async (session) => {
        const progress = await startProgress(file, flags, terminal);
        try {
          const counts = await warm(session, file, { flags, progress });
          progress.stop();
          if (flags.json) await session.printJson({ end: counts });
          else await session.print(summary(counts));
          return (counts.failed ?? 0) > 0 ? 1 : 0;
        } finally {
          progress.stop();
        }
      });
    });
}

type Counts = Record<string, number>;

async function warm(
  { client, signal, print, printJson }: Session,
  file: string,
  { flags, progress }: { readonly flags: WarmFlags; readonly progress: Progress },
): Promise<Counts> {
  const { bucket, domain, rate, concurrency, json } = flags;
  const counts: Counts = {};
  for await (const names of inBatches(linesOf(file))) {
    const body = { names, bucket, domain, rate, concurrency };
    for await (const line of client.stream("/warm", body, signal)) {
      if (!isObject(line)) continue;
      const result = String(line.result);
      counts[result] = (counts[result] ?? 0) + 1;
      progress.step(counts);
      if (json) await printJson(line);
      else if (!QUIET.has(result)) await (progress.say ?? print)(describe(line));
    }
  }
  return counts;
}

/** Not worth a line for each. */
const QUIET: ReadonlySet<string> = new Set(["fetched", "present", "confirmed"]);

const EXPLAINED: Readonly<Record<string, string>> = {
  missing: "the origin has none",
  deleted: "deleted by an operator; `huiyuan undelete` lifts that",
  unmirrored: "its domain asks no origin for it",
  unstored:
    "the origin gave something that may not be stored (damaged, or forbidden to be kept), or another tool's object is in the way",
};

function describe({ name, result, message }: Readonly<Record<string, unknown>>): string {
  const why = typeof message === "string" ? message : (EXPLAINED[String(result)] ?? "");
  return `${String(result).padEnd(10)} ${shown(String(name))}: ${shown(why)}`;
}

function summary(counts: Counts): string {
  const parts = Object.entries(counts).map(([result, count]) => `${count} ${result}`);
  return parts.join(", ") || "the list is empty";
}

interface Progress {
  step(counts: Counts): void;
  /** Prints above the bar; undefined without one. */
  readonly say: ((line: string) => Promise<void>) | undefined;
  stop(): void;
}

/** A bar on a terminal, nothing elsewhere. Standard input has no known end, so its bar only counts. */
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
    say: async (text) => bars.log(`${text}\n`),
    stop: () => bars.stop(),
  };
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || rate < 0.01 || rate > 10_000)
    throw new InvalidArgumentError("It must be a number from 0.01 to 10000.");
  return rate;
}

function parsePlaces(text: string): number {
  const places = Number(text);
  if (!/^\d+$/.test(text) || places < 1 || places > 64)
    throw new InvalidArgumentError("It must be a whole number from 1 to 64.");
  return places;
}
