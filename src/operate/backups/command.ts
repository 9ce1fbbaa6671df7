// `huiyuan backup` makes a generation of a backup, whether the server runs or not. `huiyuan restore` fills an empty
// data folder from one.

import { statSync } from "node:fs";
import type { Command } from "commander";
import { SettingsFaults } from "../../settings/faults.ts";
import { loadSettings } from "../../settings/load.ts";
import {
  createStatusLine,
  type ExitCode,
  formatBytes,
  newCommand,
  shown,
  stopSignal,
  type Terminal,
  wholeNumber,
} from "../cli/terminal.ts";
import { type BackupReport, makeBackup } from "./backup.ts";
import type { OnProgress } from "./placing.ts";
import { restoreBackup } from "./restore.ts";
import type { Damage } from "./verify.ts";

interface BackupFlags {
  readonly config: string;
  readonly keep: number;
  readonly copy: boolean;
  readonly json: boolean;
}

const KEEP = 7;
const MOST_KEPT = 1_000;
const BACKUP_HELP = `Each backup is a folder below DIR, with images, databases and the settings file.
Only the owner can read it. Run the command as the server's user. Later backups
to the same DIR store only new images.

On another disk the images are copied. On the disk of the data folder they are
hard links, which do not survive the loss of the disk; --copy copies them.
The exit code is 1 if an image is damaged. All others are in the backup then.

Examples:
  huiyuan backup /mnt/backup/huiyuan --config /etc/huiyuan/huiyuan.yaml
  huiyuan backup /var/backups/huiyuan --copy --keep 30`;

export function backupCommand(terminal: Terminal): Command {
  return newCommand(terminal, "backup", BACKUP_HELP)
    .argument("<dir>", "folder of the backups, outside of the data folder")
    .option("-c, --config <file>", "settings file of the server", "huiyuan.yaml")
    .option("--keep <count>", "keep this many backups in DIR", (text) => wholeNumber(text, MOST_KEPT), KEEP)
    .option("--copy", "copy all images, even on the same disk", false)
    .option("--json", "print one JSON object", false)
    .action(async (dir: string, { config, keep, copy, json }: BackupFlags) => {
      const { data } = await loadSettings(config, { env: process.env, needs: "address" });
      const report = await withProgress({ json, terminal }, (signal, onProgress) =>
        makeBackup({ data, dir, settingsFile: config, keep, copies: copy, signal, onProgress }),
      );
      if (report === undefined) return;
      terminal.out.write(json ? `${JSON.stringify(report)}\n` : `${describe(report)}\n`);
      if (!copy && !json && statSync(report.path).dev === statSync(data).dev)
        terminal.err.write("same file system: this does not survive the loss of the disk\n");
      process.exitCode = reportDamage(report, terminal);
    });
}

function describe({ path, objects, bytes, writtenBytes, databaseBytes, generations }: BackupReport): string {
  const written = `${formatBytes(writtenBytes)} written now, ${formatBytes(databaseBytes)} of databases`;
  return `${path}: ${imagesOf(objects)}, ${formatBytes(bytes)}, ${written}; backups in the folder: ${generations}`;
}

const imagesOf = (objects: number) => (objects === 1 ? "1 image" : `${objects} images and processed images`);

/** Names damaged images and returns the exit code. */
function reportDamage({ damaged, damagedObjects }: Damage, { err }: Terminal): ExitCode {
  if (damaged === 0) return 0;
  const next = "request them, so that the mirror fetches them again, or upload them again";
  err.write(`damaged images, whose bytes are missing or differ: ${damaged}; ${next}\n`);
  for (const object of damagedObjects) err.write(`  ${shown(object)}\n`);
  return 1;
}

/** Shows the progress on a terminal. After Ctrl-C: undefined, and the exit code is 1. */
async function withProgress<Report>(
  { json, terminal }: { readonly json: boolean; readonly terminal: Terminal },
  work: (signal: AbortSignal, onProgress: OnProgress) => Promise<Report>,
): Promise<Report | undefined> {
  const signal = stopSignal(terminal);
  const status = createStatusLine(terminal, json);
  const onProgress: OnProgress = (step, total) => {
    let done = 0;
    return (bytes) => {
      done += bytes;
      status.show(`${step} images: ${formatBytes(done)} of ${formatBytes(total)}`);
    };
  };
  try {
    return await work(signal, onProgress);
  } catch (error) {
    if (!signal.aborted) throw error;
    process.exitCode = 1;
    return undefined;
  } finally {
    status.clear();
  }
}

interface RestoreFlags extends Pick<BackupFlags, "config" | "json"> {
  readonly generation?: string;
}

const RESTORE_HELP = `Stop the server first, and move its old data folder away. Run the command as the
server's user. The settings file is not restored: each backup has it as
huiyuan.yaml; copy it to its place first, and check its secrets.

If the restore is interrupted, run it again: the server does not start before.
The exit code is 1 if an image is damaged. All others are restored then.

Examples:
  huiyuan restore /mnt/backup/huiyuan --config /etc/huiyuan/huiyuan.yaml
  huiyuan restore /mnt/backup/huiyuan --generation 20261103T024500123Z`;

export function restoreCommand(terminal: Terminal): Command {
  return newCommand(terminal, "restore", RESTORE_HELP)
    .argument("<dir>", "folder of the backups")
    .option("-c, --config <file>", "settings file of the server", "huiyuan.yaml")
    .option("--generation <name>", "folder name of the backup in DIR (default: the newest)")
    .option("--json", "print one JSON object", false)
    .action(async (dir: string, { config, generation, json }: RestoreFlags) => {
      const { data } = await loadSettings(config, { env: process.env, needs: "address" }).catch((error: unknown) => {
        if (error instanceof SettingsFaults)
          terminal.err.write(`each backup in ${dir} has the settings of its time, as huiyuan.yaml\n`);
        throw error;
      });
      const report = await withProgress({ json, terminal }, (signal, onProgress) =>
        restoreBackup({ dir, generation, data, signal, onProgress }),
      );
      if (report === undefined) return;
      const { path, objects, bytes } = report;
      const line = `${data}: ${imagesOf(objects)}, ${formatBytes(bytes)}, restored from ${path}; start the server`;
      terminal.out.write(json ? `${JSON.stringify(report)}\n` : `${line}\n`);
      process.exitCode = reportDamage(report, terminal);
    });
}
