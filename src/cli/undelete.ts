// `huiyuan undelete`: lifts what `delete` has laid down, so that the next request may ask the origin again.
import type { Command } from "commander";
import { adminCommand, withServer } from "./admin-command.ts";
import { changeObjects, checkSelection, type SelectionFlags, withSelection } from "./change-objects.ts";
import type { Terminal } from "./terminal.ts";

const HELP = `The bytes of a deleted object are not kept: what comes back is what the origin has.

Examples:
  huiyuan undelete http://img.example.com/2015/cat.jpg
  huiyuan undelete --list lifted.txt --bucket 10001234/photos`;
const ORDER = { operation: "undelete", how: {}, words: { changed: "undeleted", unchanged: "was not deleted" } };

export function undeleteCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "undelete", "let deleted objects be fetched again", HELP);
  return withSelection(command, { hasPrefix: false }).action(
    async (names: readonly string[], flags: SelectionFlags, self: Command) => {
      checkSelection(names, flags, self);
      await withServer(flags, terminal, (session) => changeObjects(session, ORDER, { ...flags, names }));
    },
  );
}
