// `huiyuan migrate verify`: compares the source with the target, and writes a manifest of what is equal.
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { HuiyuanError } from "../../core/errors.ts";
import { formatBytes } from "../../doctor/finding.ts";
import type { Journal } from "../../migrate/journal/journal.ts";
import { createManifest, type Manifest, type ManifestEnd } from "../../migrate/verify/manifest.ts";
import { createTally, type FindingKind, type Tally, verify } from "../../migrate/verify/verify.ts";
import { createStatusLine, type ExitCode, shown, stopSignal, type Terminal } from "../terminal.ts";
import { commandLine } from "./job.ts";
import { type EndFlags, endsCommand, openEnds, type Prepared, prepare, repeated, withJournal } from "./prepare.ts";
import { createProgress, durationText } from "./stat.ts";

interface VerifyFlags extends EndFlags {
  readonly sample?: Sample;
  readonly all: boolean;
  readonly manifest?: string;
}

interface Sample {
  readonly text: string;
  /** Objects of the sample. */
  of(objects: number): number;
}

const HELP = `The source is listed again. A random sample is read on both sides and compared by SHA-256 (over the REST API by the
MD5 that it tells). In a store the presence and the size of all other objects are compared too. The journal marks what
differs or is missing, so that the next start copies it again. Nothing else is changed.

The manifest has the lines of sha256sum, in the order of the keys, and the Merkle root of RFC 9162 over them.

Exit codes: 0 all equal, 1 something differs or could not be read, 2 wrong usage, config or settings.

Examples:
  huiyuan migrate verify --settings /etc/huiyuan/huiyuan.yaml --sample 5%
  huiyuan migrate verify --settings /etc/huiyuan/huiyuan.yaml --all --manifest photos.sha256`;

const DEFAULT_SAMPLE = "1000";

export function verifyCommand(terminal: Terminal): Command {
  return endsCommand(terminal, "verify", "compare the source with the target", "compare with", HELP)
    .option(
      "--sample <count>",
      `compare this many objects, or \`5%\` of them, by hash (default: ${DEFAULT_SAMPLE})`,
      readSample,
    )
    .option("--all", "compare every object by hash", false)
    .option("--manifest <file>", "write SHA-256 and key of each equal object to this file; needs --all")
    .action(async (flags: VerifyFlags) => {
      process.exitCode = await start(flags, terminal);
    });
}

function readSample(text: string): Sample {
  const [, digits, percent] = /^(\d{1,15}(?:\.\d{1,3})?)(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  const isRight = percent === "%" ? value > 0 && value <= 100 : value >= 1 && Number.isInteger(value);
  if (!isRight) throw new InvalidArgumentError("It must be a number of objects, or a percentage such as 5%.");
  return { text, of: (objects) => (percent === "%" ? Math.ceil((objects * value) / 100) : value) };
}

async function start(flags: VerifyFlags, terminal: Terminal): Promise<ExitCode> {
  const { sample, all, manifest } = flags;
  const fault =
    sample !== undefined && all
      ? "Give --sample or --all, not both."
      : manifest !== undefined && !all
        ? "--manifest needs --all: it lists every object."
        : undefined;
  if (fault !== undefined) {
    terminal.err.write(`Error: ${fault} \n`);
    return 2;
  }
  const prepared = await prepare(flags, terminal);
  if (typeof prepared === "number") return prepared;
  return withJournal(prepared, terminal, (journal) => run(prepared, flags, journal, terminal));
}

async function run(prepared: Prepared, flags: VerifyFlags, journal: Journal, terminal: Terminal): Promise<ExitCode> {
  const { config } = prepared;
  const began = performance.now();
  const stop = stopSignal(terminal);
  const tally = createTally();
  const status = createStatusLine(terminal, flags.json);
  const progress = createProgress();
  const { close, ...ends } = await openEnds(prepared);
  const timer = setInterval(() => status.show(progress(doneOf(tally, journal))), 1_000);
  let manifest: Manifest | undefined;
  let trouble: HuiyuanError | undefined;
  let archived: ManifestEnd | undefined;
  try {
    manifest = flags.manifest === undefined ? undefined : createManifest(resolve(flags.manifest));
    const { of } = flags.sample ?? readSample(DEFAULT_SAMPLE);
    const sampleOf = flags.all ? (objects: number) => objects : of;
    const parts = { journal, manifest, filters: config.filters, sampleOf, stop };
    trouble = await verify({ ...config.tool, ...ends, ...parts }, tally);
    if (trouble === undefined && !stop.aborted) archived = manifest?.finish();
  } finally {
    clearInterval(timer);
    status.clear();
    manifest?.discard();
    await close();
  }
  const troubles = [...(trouble === undefined ? [] : [trouble.message]), ...(stop.aborted ? ["It was stopped"] : [])];
  return printVerified({ flags, tally, archived, troubles, seconds: (performance.now() - began) / 1_000 }, terminal);
}

/** For the progress bar. While the source is listed, the end is not known. */
function doneOf({ objects, done, equal, skipped, bytes }: Tally, { counters }: Journal) {
  const [submitted, successful] = [objects || counters.submitted, equal + skipped];
  return { submitted, successful, failed: done - successful, bytes, isScanning: counters.isScanning };
}

interface Verified {
  readonly flags: VerifyFlags;
  readonly tally: Tally;
  readonly archived: ManifestEnd | undefined;
  readonly troubles: readonly string[];
  readonly seconds: number;
}

const TITLES: Readonly<Record<FindingKind, string>> = {
  differs: "Different",
  missing: "Missing at the target",
  gone: "Missing at the source",
  unread: "Unread",
  deleted: "Deleted at the target",
};

/** The command that mends what is of this kind. */
function mendOf(kind: FindingKind, flags: EndFlags): string {
  const command = (name: string) => commandLine(name, flags, repeated(flags));
  const isStore = flags.settings !== undefined;
  const texts = {
    differs: isStore ? "copy again" : "an upload never replaces: delete them at the target, then",
    missing: "copy",
    gone: "if the target should lose them too, delete them there",
    unread: "once the reason is gone, compare again",
    deleted: "a migration respects that; an upload brings them back",
  };
  if (kind === "deleted" || (kind === "gone" && !isStore)) return texts[kind];
  if (kind === "gone") return `${texts.gone}: huiyuan delete KEY --config ${flags.settings}`;
  return `${texts[kind]}: ${command(kind === "unread" ? "verify" : "start")}`;
}

function printVerified({ flags, tally, archived, troubles, seconds }: Verified, { out }: Terminal): ExitCode {
  const { findings: found, done: _, ...counts } = tally;
  const kinds = (Object.keys(TITLES) as FindingKind[]).map((kind) => ({ kind, ...found[kind] }));
  const findings = kinds.filter(({ count }) => count > 0).map((each) => ({ ...each, mend: mendOf(each.kind, flags) }));
  const isEqual = troubles.length === 0 && findings.every(({ kind }) => kind === "deleted");
  if (flags.json) {
    const numbers = { ...counts, ...Object.fromEntries(kinds.map(({ kind, count }) => [kind, count])), seconds };
    const manifest = archived && { file: flags.manifest, ...archived };
    out.write(`${JSON.stringify({ event: "verified", ...numbers, findings, manifest, troubles })}\n`);
    return isEqual ? 0 : 1;
  }
  const { objects, equal, hashed, skipped, bytes } = counts;
  const sample = flags.all ? "all" : `a random sample of ${flags.sample?.text ?? DEFAULT_SAMPLE}; --all compares each`;
  const lines = [
    ...troubles.map((text) => `The comparison is incomplete: ${shown(text)}`),
    `Objects: ${objects}, of which compared by hash: ${hashed} (${sample}), not compared: ${skipped}`,
    `Read from the source: ${formatBytes(bytes)} in ${durationText(seconds)}`,
    `Equal: ${equal}`,
    ...kinds.map(({ kind, count }) => `${TITLES[kind]}: ${count}`),
  ];
  for (const { kind, first, count, mend } of findings) {
    lines.push(`${TITLES[kind]}; ${mend}`);
    lines.push(...first.map(({ fileid, reason }) => `  ${shown(fileid)}${reason === "" ? "" : `|${shown(reason)}`}`));
    if (count > first.length) lines.push(`  and ${count - first.length} more`);
  }
  if (archived !== undefined)
    lines.push(`Manifest: ${archived.objects} objects in ${shown(flags.manifest ?? "")}, root ${archived.root}`);
  out.write(`${lines.join("\n")}\n`);
  return isEqual ? 0 : 1;
}
