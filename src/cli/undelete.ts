// `huiyuan undelete`: ends deletions, so that the next request may fetch the object from its origin again.
import type { Command } from "commander";
import { adminCommand, withServer } from "./admin-command.ts";
import { changeObjects, checkSelection, type SelectionFlags, withSelection } from "./change-objects.ts";
import type { Terminal } from "./terminal.ts";

const HELP = `The bytes of a deleted object are gone: the next request fetches the object from its origin.

Examples:
  huiyuan undelete http://img.example.com/2015/cat.jpg
  huiyuan undelete --list lifted.txt --bucket 10001234/photos`;
const ORDER = { operation: "undelete", how: {}, words: { changed: "undeleted", unchanged: "was not deleted" } };

export function undeleteCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "undelete", "allow deleted objects to be fetched again", HELP);
  return withSelection(command, { hasPrefix: false }).action(
    async (names: readonly string[], flags: SelectionFlags, self: Command) => {
      checkSelection(names, flags, self);
      await withServer(flags, terminal, (session) => changeObjects(session, ORDER, { ...flags, names }));
    },
  );
}
