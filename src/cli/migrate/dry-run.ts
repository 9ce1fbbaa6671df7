// `huiyuan migrate start --dry-run`: lists the source and says what a run would do. It writes nothing.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isKey } from "../../core/object.ts";
import { formatBytes } from "../../doctor/finding.ts";
import { filtered } from "../../migrate/runner/scan.ts";
import type { Target } from "../../migrate/target.ts";
import { openTarget } from "../../wiring/migration.ts";
import { openSource } from "../../wiring/migration-sources.ts";
import { type ExitCode, shown, stopSignal, type Terminal } from "../terminal.ts";
import type { Prepared } from "./prepare.ts";
import type { StartFlags } from "./report.ts";

const SHOWN_REFUSALS = 20;

export async function dryRun(prepared: Prepared, flags: StartFlags, terminal: Terminal): Promise<ExitCode> {
  const { config, settings, admin, log } = prepared;
  const signal = stopSignal(terminal);
  const spoolDir = join(tmpdir(), `huiyuan-dry-run-${process.pid}`);
  const parts = settings && (await openTarget({ config, settings, admin, spoolDir, log }));
  const source = openSource(
    config.source,
    { ...config.tool, concurrency: 1, allowPrivate: flags.allowPrivate, allowsFiles: flags.fileUrls, log },
    settings,
  );
  const counts = { copied: 0, bytes: 0, there: 0, deleted: 0, ignored: 0, refused: 0 };
  const refusals: { readonly fileid: string; readonly reason: string }[] = [];
  const refuse = (fileid: string, reason: string) => {
    counts.refused += 1;
    if (refusals.length < SHOWN_REFUSALS) refusals.push({ fileid, reason });
  };
  async function addObject(fileid: string, size: number): Promise<void> {
    if (!isKey(fileid)) return refuse(fileid, "it is no valid name of an object");
    const state = await stateOf(fileid, parts?.target, signal);
    counts[state] += 1;
    if (state === "copied") counts.bytes += size;
  }

  try {
    for await (const page of source.list(undefined, signal)) {
      const { objects, failures, ignored } = filtered(page, config.filters);
      counts.ignored += ignored;
      for (const { shown: name, reason } of failures) refuse(name, reason);
      for (const { fileid, size = 0 } of objects) await addObject(fileid, size);
    }
  } finally {
    await source.close();
    await parts?.close();
  }
  if (flags.json) terminal.out.write(`${JSON.stringify({ event: "dry-run", ...counts, refusals })}\n`);
  else {
    const { copied, bytes, there, deleted, ignored, refused } = counts;
    terminal.out.write(`Would copy: ${copied} (${formatBytes(bytes)})\n`);
    if (parts !== undefined)
      terminal.out.write(`Are at the target: ${there}\nWere deleted at the target: ${deleted}\n`);
    terminal.out.write(`Ignored by the filters: ${ignored}\nRefused: ${refused}\n`);
    for (const { fileid, reason } of refusals) terminal.out.write(`  ${shown(fileid)}|${shown(reason)}\n`);
  }
  return 0;
}

/** Over the REST API nothing is looked up: that would be one request for each object. */
async function stateOf(fileid: string, target: Target | undefined, signal: AbortSignal) {
  const state = target?.isNear ? (await target.look(fileid, signal)).state : "absent";
  return state === "object" ? "there" : state === "deleted" ? "deleted" : "copied";
}
