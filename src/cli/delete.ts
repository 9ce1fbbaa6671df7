// `huiyuan delete`: deletes objects so that they stay deleted, even if the origin still has them.
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../settings/schema/quantities.ts";
import { adminCommand, withServer } from "./admin-command.ts";
import { changeObjects, checkSelection, confirm, type SelectionFlags, withSelection } from "./change-objects.ts";
import type { Terminal } from "./terminal.ts";

interface DeleteFlags extends SelectionFlags {
  readonly reason?: string;
  /** Milliseconds. */
  readonly expires?: number;
}

const HELP = `A deleted object gets 404 and is not fetched again until \`huiyuan undelete\`, an upload, or the end of --expires.
A key that is not stored can be deleted too; it is never fetched then.

Examples:
  huiyuan delete http://img.example.com/2015/cat.jpg --reason "complaint 4711"
  huiyuan delete 2015/cat.jpg 2015/dog.jpg --bucket 10001234/photos --expires 30d
  huiyuan delete --prefix 2015/drafts/ --yes`;
const WORDS = { changed: "deleted", unchanged: "not stored, will not be fetched" };

export function deleteCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "delete", "delete objects, so that they stay deleted", HELP);
  return withSelection(command, { hasPrefix: true })
    .option("--reason <text>", "stored with the deletion, and shown by `huiyuan stat`")
    .option("--expires <duration>", "end the deletion automatically after 12h, 30d, …", parseLife)
    .action(async (names: readonly string[], flags: DeleteFlags, self: Command) => {
      checkSelection(names, flags, self);
      const { prefix, reason, expires } = flags;
      const question = prefix === undefined ? undefined : `Delete every stored object that begins with "${prefix}"?`;
      if (question !== undefined && !(await confirm(question, flags, self))) {
        process.exitCode = 1;
        return;
      }
      const how = { ...(reason === undefined ? {} : { reason }), ...(expires === undefined ? {} : { forMs: expires }) };
      const order = { operation: "delete", how, words: WORDS };
      await withServer(flags, terminal, (session) => changeObjects(session, order, { ...flags, names }));
    });
}

function parseLife(text: string): number {
  const milliseconds = parseDuration(text) ?? 0;
  if (milliseconds < 1) throw new InvalidArgumentError("Wanted a duration such as 12h or 30d.");
  return milliseconds;
}
