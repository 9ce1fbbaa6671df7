// `huiyuan migrate start --dry-run`: lists the source and says what a run would do. It changes no object.
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isKey } from "../../../core/object.ts";
import { createStatusLine, type ExitCode, formatBytes, shown, stopSignal, type Terminal } from "../../cli/terminal.ts";
import type { JobFlags } from "../jobs/run-input.ts";
import { filtered } from "../runner/runner.ts";
import type { SourceObject } from "../source.ts";
import { describeFailure } from "../sources/failure.ts";
import { openTarget } from "../wiring/target.ts";
import { print } from "./job.ts";
import type { Prepared } from "./prepare.ts";

const SHOWN_REFUSALS = 20;
/** Objects that are looked up at once. */
const AT_ONCE = 10;
const KINDS = { absent: "copied", object: "there", deleted: "deleted" } as const;

export async function dryRun(prepared: Prepared, flags: JobFlags, terminal: Terminal): Promise<ExitCode> {
  const { config, settings, source } = prepared;
  const signal = stopSignal(terminal);
  // To open a store creates its folder.
  const isLookedUp = settings === undefined || existsSync(settings.data);
  const spoolDir = join(tmpdir(), `huiyuan-dry-run-${process.pid}`);
  const end = isLookedUp ? await openTarget({ ...prepared, spoolDir }) : undefined;
  const counts = { copied: 0, bytes: 0, there: 0, deleted: 0, ignored: 0, refused: 0 };
  const refusals: { readonly fileid: string; readonly reason: string }[] = [];
  const refuse = (fileid: string, reason: string) => {
    counts.refused += 1;
    if (refusals.length < SHOWN_REFUSALS) refusals.push({ fileid, reason });
  };
  async function count({ fileid, size = 0 }: SourceObject): Promise<void> {
    if (!isKey(fileid)) return refuse(fileid, "it is no valid name of an object");
    try {
      const state = KINDS[(await end?.target.look(fileid, signal))?.state ?? "absent"];
      counts[state] += 1;
      if (state === "copied") counts.bytes += size;
    } catch (error) {
      const { cause, log } = describeFailure(error);
      if (cause !== "name_refused") throw error;
      refuse(fileid, log);
    }
  }
  const { show, clear } = createStatusLine(terminal, flags.json);
  try {
    for await (const page of source.list(undefined, signal)) {
      const { objects, failures, ignored } = filtered(page, config.filters);
      counts.ignored += ignored;
      for (const { shown: name, reason } of failures) refuse(name, reason);
      for (let at = 0; at < objects.length; at += AT_ONCE) {
        await Promise.all(objects.slice(at, at + AT_ONCE).map(count));
        show(`looked at ${Object.values({ ...counts, bytes: 0 }).reduce((sum, each) => sum + each, 0)}`);
      }
    }
  } finally {
    clear();
    await end?.close();
  }
  const { copied, bytes, there, deleted, ignored, refused } = counts;
  print(flags, terminal, { event: "dry-run", ...counts, refusals }, [
    `Would copy: ${copied}${bytes === 0 ? "" : ` (${formatBytes(bytes)})`}`,
    ...(isLookedUp ? [`Are at the target: ${there}`, `Were deleted at the target: ${deleted}`] : []),
    ...[`Ignored by the filters: ${ignored}`, `Refused: ${refused}`],
    ...refusals.map(({ fileid, reason }) => `  ${shown(fileid)}|${shown(reason)}`),
  ]);
  return 0;
}
