// `huiyuan migrate verify`: compares the source with the target, and writes a manifest of what is equal.
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type ExitCode, formatBytes, shown, stopSignal, type Terminal } from "../../cli/terminal.ts";
import type { SourceTargetFlags, VerifyFlags } from "../jobs/run-input.ts";
import { createTally, type FindingKind, type Tally, type Verification } from "../journal/database.ts";
import type { Journal } from "../journal/journal.ts";
import { createManifest } from "../verify/manifest.ts";
import { DEFAULT_SAMPLE, isSample } from "../verify/sample.ts";
import { verify } from "../verify/verify.ts";
import { print } from "./job.ts";
import { type Prepared, sourceTargetCommand, withPrepared, withSourceAndTarget } from "./prepare.ts";
import { durationText } from "./stat.ts";

const HELP = `The source is listed again. A random sample is read on both sides and compared by
SHA-256 (over the REST API by the MD5 that it tells). In a store the presence
and the size of all other objects are compared too. The journal marks what
differs or is missing, so that the next start copies it again. Nothing else is
changed.

The manifest has the lines of sha256sum, in the order of the keys.

Exit codes: 0 all equal, 1 something differs or could not be read, 2 wrong
usage, config or settings.

Examples:
  huiyuan migrate verify --settings huiyuan.yaml --sample 5%
  huiyuan migrate verify --settings huiyuan.yaml --all --manifest photos.sha256`;

export function verifyCommand(terminal: Terminal): Command {
  return sourceTargetCommand(terminal, "verify", "compare the source with the target", "compare with", HELP)
    .option(
      "--sample <count>",
      `compare this many objects, or \`5%\` of them, by hash (default: ${DEFAULT_SAMPLE})`,
      checkSample,
    )
    .option("--all", "compare every object by hash", false)
    .option("--manifest <file>", "write SHA-256 and key of each equal object to this file; needs --all")
    .action(async (flags: VerifyFlags) => {
      process.exitCode = await startVerify(flags, terminal);
    });
}

function checkSample(text: string): string {
  if (isSample(text)) return text;
  throw new InvalidArgumentError("It must be a number of objects, or a percentage such as 5%.");
}

export async function startVerify(flags: VerifyFlags, terminal: Terminal): Promise<ExitCode> {
  const isBoth = flags.sample !== undefined && flags.all;
  if (isBoth || (flags.manifest !== undefined && !flags.all)) {
    const fault = isBoth ? "Give --sample or --all, not both" : "--manifest needs --all: it lists every object";
    terminal.err.write(`Error: ${fault}. \n`);
    return 2;
  }
  return withPrepared(flags, terminal, (prepared) => run(prepared, flags, terminal));
}

function run(prepared: Prepared, flags: VerifyFlags, terminal: Terminal): Promise<ExitCode> {
  const { tool, filters } = prepared.config;
  const stop = stopSignal(terminal);
  const sample = flags.all ? "100%" : (flags.sample ?? DEFAULT_SAMPLE);
  const tally = createTally();
  const began = performance.now();
  const keep = (journal: Journal, end: Pick<Verification, "troubles"> = {}) =>
    journal.keep({ ...tally, ...end, sample, at: new Date().toISOString() });
  const done = (journal: Journal) => {
    keep(journal);
    return doneOf(tally, journal);
  };
  const bar = { terminal, json: flags.json, done };
  return withSourceAndTarget(prepared, bar, async ({ clear, ...opened }) => {
    const manifest = flags.manifest === undefined ? undefined : createManifest(resolve(flags.manifest));
    try {
      keep(opened.journal);
      const trouble = await verify({ ...tool, ...opened, manifest, filters, sample, stop }, tally);
      const archived = trouble === undefined && !stop.aborted ? manifest?.finish() : undefined;
      const troubles = [...(trouble ? [trouble.message] : []), ...(stop.aborted ? ["It was stopped"] : [])];
      clear();
      const seconds = (performance.now() - began) / 1_000;
      const code = printVerified({ flags, tally, archived, troubles, seconds }, terminal);
      // Last, so that a journal that cannot be written does not hide the report.
      keep(opened.journal, { troubles });
      opened.journal.flush();
      return code;
    } finally {
      manifest?.discard();
    }
  });
}

/** For the progress bar. While the source is listed, the end is not known. */
function doneOf({ objects, done, equal, skipped, bytes }: Tally, { counters }: Journal) {
  const [submitted, successful] = [objects || counters.submitted, equal + skipped];
  return { submitted, successful, failed: done - successful, bytes, isScanning: counters.isScanning };
}

interface Verified {
  readonly flags: VerifyFlags;
  readonly tally: Tally;
  /** Lines of the manifest, if it is complete. */
  readonly archived: number | undefined;
  readonly troubles: readonly string[];
  readonly seconds: number;
}

const TITLES: Readonly<Record<FindingKind, string>> = {
  differs: "Different",
  missing: "Missing at the target",
  gone: "Missing at the source",
  unread: "Unread",
  failed: "Failed to copy",
  deleted: "Deleted at the target",
};

/** Advice for findings of each kind. */
function mendsOf(flags: SourceTargetFlags): Readonly<Record<FindingKind, string>> {
  const copies = "the next start copies them";
  const isStore = (flags.settings ?? flags.admin) !== undefined;
  const at = flags.settings === undefined ? `--admin ${flags.admin}` : `--config ${flags.settings}`;
  const toDelete = isStore ? `: huiyuan delete KEY ${at}` : "";
  return {
    differs: isStore ? copies : `an upload never replaces: delete them at the target; then ${copies}`,
    missing: copies,
    gone: `if the target should lose them too, delete them there${toDelete}`,
    unread: "once the reason is gone, compare again",
    failed: `remove the cause; then ${copies}`,
    deleted: "a migration respects that; an upload brings them back",
  };
}

function printVerified({ flags, tally, archived, troubles, seconds }: Verified, terminal: Terminal): ExitCode {
  const { findings: found, done: _, ...counts } = tally;
  const mends = mendsOf(flags);
  const kinds = (Object.keys(TITLES) as FindingKind[]).map((kind) => ({ kind, ...found[kind], mend: mends[kind] }));
  const findings = kinds.filter(({ count }) => count > 0);
  const numbers = { ...counts, ...Object.fromEntries(kinds.map(({ kind, count }) => [kind, count])), seconds };
  const manifest = archived === undefined ? undefined : { file: flags.manifest, objects: archived };
  const { objects, equal, hashed, skipped, bytes } = counts;
  const sample = flags.all ? "all" : `a random sample of ${flags.sample ?? DEFAULT_SAMPLE}; --all compares each`;
  print(flags, terminal, { event: "verified", ...numbers, findings, manifest, troubles }, [
    ...troubles.map((text) => `The comparison is incomplete: ${shown(text)}`),
    `Objects: ${objects}, of which compared by hash: ${hashed} (${sample}), not compared: ${skipped}`,
    `Read from the source: ${formatBytes(bytes)} in ${durationText(seconds)}`,
    `Equal: ${equal}`,
    ...kinds.map(({ kind, count }) => `${TITLES[kind]}: ${count}`),
    ...findings.flatMap(({ kind, first, count, mend }) => [
      `${TITLES[kind]}; ${mend}`,
      ...first.map(({ fileid, reason }) => `  ${shown(fileid)}${reason === "" ? "" : `|${shown(reason)}`}`),
      ...(count > first.length ? [`  and ${count - first.length} more`] : []),
    ]),
    ...(archived === undefined ? [] : [`Manifest: ${archived} objects in ${shown(flags.manifest ?? "")}`]),
  ]);
  return troubles.length === 0 && findings.every(({ kind }) => kind === "deleted") ? 0 : 1;
}
