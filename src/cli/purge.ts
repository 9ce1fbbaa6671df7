// `huiyuan purge`: what the mirror brought is asked for again at the origin. Uploads are never touched.
import type { Command } from "commander";
import { adminCommand, withServer } from "./admin-command.ts";
import { changeObjects, checkSelection, confirm, type SelectionFlags, withSelection } from "./change-objects.ts";
import type { Terminal } from "./terminal.ts";

interface PurgeFlags extends SelectionFlags {
  readonly hard: boolean;
}

const HELP = `The next request for a purged object asks the origin first. Until a new, whole image has come the stored one helps
out, so that an origin that is down or broken costs nothing; --hard removes it at once instead. What was uploaded stays as
it is. A name whose image is being fetched just now, or was missing at the origin a moment ago, is asked for again as well.

Examples:
  huiyuan purge http://img.example.com/2015/cat.jpg
  huiyuan purge --prefix 2015/ --bucket photos
  find-changed-images | huiyuan purge --list -`;

export function purgeCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "purge", "have objects asked for again at the origin", HELP);
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
