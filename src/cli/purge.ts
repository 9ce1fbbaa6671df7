// `huiyuan purge`: makes mirrored objects stale, so that they are fetched again. It never changes uploads.
import type { Command } from "commander";
import { adminCommand, withServer } from "./admin-command.ts";
import { changeObjects, checkSelection, confirm, type SelectionFlags, withSelection } from "./change-objects.ts";
import type { Terminal } from "./terminal.ts";

interface PurgeFlags extends SelectionFlags {
  readonly hard: boolean;
}

const HELP = `The next request for a purged object goes to the origin first. If the origin fails, the stored image is still served; --hard
removes it at once instead. Uploads do not change. A purge also covers an image that is being fetched now, or that was
missing at the origin a moment ago: it is fetched again.

Examples:
  huiyuan purge http://img.example.com/2015/cat.jpg
  huiyuan purge --prefix 2015/ --bucket photos
  find-changed-images | huiyuan purge --list -`;

export function purgeCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "purge", "fetch objects again from the origin", HELP);
  return withSelection(command, { hasPrefix: true })
    .option("--hard", "remove the stored bytes at once", false)
    .action(async (names: readonly string[], flags: PurgeFlags, self: Command) => {
      checkSelection(names, flags, self);
      const { prefix, hard } = flags;
      const isWide = hard && prefix !== undefined;
      const question = `Remove the bytes of every mirrored object that begins with "${prefix}"?`;
      if (isWide && !(await confirm(question, flags, self))) {
        process.exitCode = 1;
        return;
      }
      const words = { changed: hard ? "removed" : "purged", unchanged: "nothing to purge" };
      const order = { operation: "purge", how: { hard }, words };
      await withServer(flags, terminal, (session) => changeObjects(session, order, { ...flags, names }));
    });
}
