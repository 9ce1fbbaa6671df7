// `huiyuan restore`: fills an empty data folder from a backup.
import type { Command } from "commander";
import { SettingsFaults } from "../../settings/faults.ts";
import { loadSettings } from "../../settings/load.ts";
import { formatBytes, newCommand, type Terminal } from "../cli/terminal.ts";
import { imagesOf, reportDamage, withProgress } from "./backup-command.ts";
import { restoreBackup } from "./restore.ts";

interface RestoreFlags {
  readonly config: string;
  readonly generation?: string;
  readonly json: boolean;
}

const HELP = `Stop the server first, and move its old data folder away. Run the command as the
server's user. The settings file is not restored: each backup has it as
huiyuan.yaml; copy it to its place first, and check its secrets.

If the restore is interrupted, run it again: the server does not start before.
The exit code is 1 if an image is damaged. All others are restored then.

Examples:
  huiyuan restore /mnt/backup/huiyuan --config /etc/huiyuan/huiyuan.yaml
  huiyuan restore /mnt/backup/huiyuan --generation 20261103T024500123Z`;

export function restoreCommand(terminal: Terminal): Command {
  return newCommand(terminal, "restore", "fill an empty data folder from a backup", HELP)
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
