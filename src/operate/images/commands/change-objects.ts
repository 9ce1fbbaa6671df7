// `huiyuan delete`, `huiyuan undelete` and `huiyuan purge`: the selection of objects, the confirmation, and the report
// of changes. The server changes the objects.

import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../../../settings/schema/quantities.ts";
import type { PlaceOf } from "../../admin/contract/contract.ts";
import {
  adminCommand,
  type BucketFlags,
  confirm,
  type Session,
  withBucket,
  withServer,
} from "../../cli/admin-command.ts";
import { type ExitCode, shown, type Terminal } from "../../cli/terminal.ts";
import type { Confirmation } from "../../nodes/contract.ts";
import type { ChangeCounts, ChangeLine, deleteObjects, purgeObjects, undeleteObjects } from "../contract.ts";
import { inBatches, linesOf } from "./name-list.ts";

interface SelectionFlags extends BucketFlags {
  readonly list?: string;
  readonly prefix?: string;
  readonly yes?: boolean;
}

type Change = typeof deleteObjects | typeof purgeObjects | typeof undeleteObjects;

/** The request to the server, and the words for each object in the report. */
interface Order {
  readonly at: PlaceOf<Change>;
  readonly how: object;
  readonly words: { readonly changed: string; readonly unchanged: string };
}

/** Adds the argument and options that select objects. */
function withSelection(command: Command): Command {
  return withBucket(command)
    .argument("[name...]", "URLs of objects, as clients request them, or keys")
    .option("--list <file>", "read names from the lines of a file; - is standard input");
}

function withPrefix(command: Command): Command {
  return command
    .option("--prefix <prefix>", 'all stored objects whose key begins so; "" is the whole bucket')
    .option("-y, --yes", "do not ask before many objects are changed", false);
}

/**
 * Sets the action: exactly one way of selection, else a usage error; then `question`, unless it is false; the order.
 */
function changing<Flags extends SelectionFlags>(
  command: Command,
  terminal: Terminal,
  {
    question = () => false,
    order,
  }: { readonly question?: (flags: Flags) => string | false; readonly order: (flags: Flags) => Order },
): Command {
  return command.action(async (names: readonly string[], flags: Flags, self: Command) => {
    const ways = [names.length > 0, flags.list !== undefined, flags.prefix !== undefined].filter(Boolean).length;
    if (ways !== 1) self.error("error: name the objects: as arguments, with --list, or with --prefix");
    const asked = question(flags);
    if (asked !== false && !(await confirm(asked, flags, self))) {
      process.exitCode = 1;
      return;
    }
    await withServer(flags, terminal, (session) => changeObjects(session, order(flags), { ...flags, names }));
  });
}

/** Sends the change and prints a line for each object. Returns 1 if one has failed. */
async function changeObjects(
  { client, signal, show }: Session,
  { at, how, words }: Order,
  { names, bucket, list, prefix }: SelectionFlags & { readonly names: readonly string[] },
): Promise<ExitCode> {
  const totals: ChangeCounts = { changed: 0, unchanged: 0, failed: 0 };
  // The last batch's covers the earlier ones.
  const ended = ({ confirmation }: ChangeCounts) => {
    totals.confirmation = confirmation;
  };
  const selections = prefix === undefined ? namedIn(list === undefined ? names : linesOf(list)) : [{ prefix }];
  for await (const selection of selections) {
    const body = { bucket, ...selection, ...how };
    for await (const line of client.stream<Change>(at, body, signal, ended)) {
      await show(line, describe(line, words));
      totals["code" in line ? "failed" : line.changed ? "changed" : "unchanged"] += 1;
    }
  }
  await show({ end: totals }, summary(totals, words));
  return totals.failed > 0 ? 1 : 0;
}

async function* namedIn(names: Iterable<string> | AsyncIterable<string>) {
  for await (const batch of inBatches(names)) yield { names: batch };
}

function describe(line: ChangeLine, words: Order["words"]): string {
  if ("code" in line) return `failed     ${shown(line.name)}: ${shown(line.message)}`;
  return `${(line.changed ? words.changed : words.unchanged).padEnd(10)} ${shown(line.key)}`;
}

function summary({ changed, unchanged, failed, confirmation }: ChangeCounts, words: Order["words"]): string {
  const parts = [`${changed} ${words.changed}`];
  if (unchanged > 0) parts.push(`${unchanged} ${words.unchanged}`);
  if (failed > 0) parts.push(`${failed} failed`);
  return parts.join(", ") + (confirmation === undefined ? "" : `; ${confirmed(confirmation)}`);
}

function confirmed({ confirmed: count, nodes, othersWithinMs }: Confirmation): string {
  const others = othersWithinMs > 0 ? `, the others follow within ${Math.ceil(othersWithinMs / 1_000)} s` : "";
  return `${count} of ${nodes} nodes confirmed${others}`;
}

interface DeleteFlags extends SelectionFlags {
  readonly reason?: string;
  /** Milliseconds. */
  readonly expires?: number;
}

const DELETE_HELP = `Clients get 404 for a deleted object. It is not fetched from the origin again
until \`huiyuan undelete\`, an upload, or the end of --expires. A key that is not
stored can be deleted too: it is then never fetched.

Examples:
  huiyuan delete http://img.example.com/2015/cat.jpg --reason "complaint 4711"
  huiyuan delete 2015/cat.jpg 2015/dog.jpg --expires 30d
  huiyuan delete --prefix 2015/drafts/ --yes`;

/** Deletes objects so that they stay deleted, even if the origin still has them. */
export function deleteCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "delete", DELETE_HELP);
  return changing<DeleteFlags>(withPrefix(withSelection(command)), terminal, {
    question: ({ prefix }) => prefix !== undefined && `Delete every stored object that begins with "${prefix}"?`,
    order: ({ reason, expires }) => ({
      at: "post /objects/delete",
      how: { reason, forMs: expires },
      words: { changed: "deleted", unchanged: "not stored, will not be fetched" },
    }),
  })
    .option("--reason <text>", "note the reason, which huiyuan stat shows")
    .option("--expires <duration>", "end the deletion after this time, such as 12h or 30d", parseLife);
}

function parseLife(text: string): number {
  const milliseconds = parseDuration(text) ?? 0;
  if (milliseconds < 1) throw new InvalidArgumentError("Wanted a duration such as 12h or 30d.");
  return milliseconds;
}

const UNDELETE_HELP = `The bytes of a deleted object are gone. The next request fetches the object from
its origin. An upload or a migrated image comes back only if it is sent again.

Examples:
  huiyuan undelete http://img.example.com/2015/cat.jpg
  huiyuan undelete --list lifted.txt --bucket 10001234/photos`;

/** Ends deletions, so that the next request may fetch the object from its origin again. */
export function undeleteCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "undelete", UNDELETE_HELP);
  const words = { changed: "undeleted", unchanged: "was not deleted" };
  return changing(withSelection(command), terminal, {
    order: () => ({ at: "post /objects/undelete", how: {}, words }),
  });
}

const PURGE_HELP = `The next request for a purged object asks the origin first. If the origin fails,
clients get the stored image; with --hard it is removed at once. Uploads and
migrated images do not change. Images that are being fetched now, or that the
origin lacked a moment ago, are fetched again.

Examples:
  huiyuan purge http://img.example.com/2015/cat.jpg
  huiyuan purge --prefix 2015/ --bucket photos
  find-changed-images | huiyuan purge --list -`;

/** Makes mirrored objects stale, so that they are fetched again. It never changes uploads. */
export function purgeCommand(terminal: Terminal): Command {
  const command = adminCommand(terminal, "purge", PURGE_HELP);
  return changing<SelectionFlags & { readonly hard: boolean }>(withPrefix(withSelection(command)), terminal, {
    question: ({ hard, prefix }) =>
      hard && prefix !== undefined && `Remove the bytes of every mirrored object that begins with "${prefix}"?`,
    order: ({ hard }) => ({
      at: "post /objects/purge",
      how: { hard },
      words: {
        changed: hard ? "removed" : "purged",
        unchanged: "nothing to purge (not stored, or not fetched from an origin)",
      },
    }),
  }).option("--hard", "remove the stored bytes at once", false);
}
