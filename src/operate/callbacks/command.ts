// `huiyuan callbacks`: lists, retries and drops pending notices of uploads to business servers.
import { type Command, Option } from "commander";
import { adminCommand, type BucketFlags, confirm, pagesOf, withServer } from "../cli/admin-command.ts";
import { newCommand, shown, type Terminal, wholeNumber } from "../cli/terminal.ts";
import {
  type dropCallbacks,
  type listCallbacks,
  type NoticePage,
  type NoticesChanged,
  type retryCallbacks,
  STATES,
  type testCallback,
} from "./contract.ts";

interface ListFlags extends BucketFlags {
  readonly state?: (typeof STATES)[number];
}

interface ChangeFlags extends ListFlags {
  readonly all: boolean;
  readonly yes?: boolean;
}

const PAGE = 1_000;
const ABOUT = `After an upload the server calls the URL in the bucket's "callback" setting. It
retries a failed callback for 24 hours, then gives up. The callback stays in
this list until you retry or drop it. See docs/guides/callbacks.md.

Examples:
  huiyuan callbacks list
  huiyuan callbacks retry --all`;
const LIST_HELP = `Columns: id, state, attempts, next attempt (UTC), last failure, bucket, fileid.

Examples:
  huiyuan callbacks list
  huiyuan callbacks list --state given-up --json`;
const CHANGE_HELP = (name: string) => `Examples:
  huiyuan callbacks ${name} 17 18
  huiyuan callbacks ${name} --bucket 10001234/photos --state given-up
  huiyuan callbacks ${name} --all`;

export function callbacksCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "callbacks", ABOUT);
  const list = adminCommand(terminal, "list", LIST_HELP)
    .description("list undelivered callbacks")
    .action(async (flags: ListFlags) => {
      await withServer(flags, terminal, async (session) => {
        const { bucket, state, json } = flags;
        let count = 0;
        const query = { bucket, state, limit: PAGE };
        for await (const { notices } of pagesOf<typeof listCallbacks>(session, "get /callbacks", query)) {
          for (const notice of notices) await session.show(notice, describe(notice));
          count += notices.length;
        }
        if (count === 0 && !json) terminal.err.write("no callback is undelivered\n");
        return 0;
      });
    });
  command.addCommand(narrowed(list));
  command.addCommand(changing(terminal, { name: "retry", about: "send undelivered callbacks again now" }));
  command.addCommand(changing(terminal, { name: "drop", about: "drop undelivered callbacks for good" }));
  command.addCommand(testing(terminal));
  return command;
}

const TEST_HELP = `The callback gets the header X-Huiyuan-Test: callback, and the fileid
huiyuan-callback-test, which does not exist. The exit code is 1 if it fails.

Examples:
  huiyuan callbacks test
  huiyuan callbacks test --bucket 10001234/photos`;

function testing(terminal: Terminal): Command {
  return adminCommand(terminal, "test", TEST_HELP)
    .description("send one callback that is marked as a test")
    .option("--bucket <appid/name>", "bucket of the callback; needed if there are several")
    .action(async ({ bucket, ...flags }: BucketFlags) => {
      await withServer(flags, terminal, async (session) => {
        const tested = await session.client.call<typeof testCallback>("post /callbacks/test", { bucket });
        const { delivered, reason, status, milliseconds, answer } = tested;
        const found = [delivered ? "delivered" : `failed (${reason})`, ...(status === undefined ? [] : [status])];
        await session.show(tested, `${found.join(", ")} in ${milliseconds} ms: ${shown(answer)}`);
        return delivered ? 0 : 1;
      });
    });
}

function narrowed(command: Command): Command {
  return command
    .option("--bucket <appid/name>", "only callbacks of this bucket")
    .addOption(
      new Option("--state <state>", "only callbacks that wait for a retry, or that are given up").choices(STATES),
    );
}

function changing(
  terminal: Terminal,
  { name, about }: { readonly name: "retry" | "drop"; readonly about: string },
): Command {
  const command = narrowed(adminCommand(terminal, name, CHANGE_HELP(name)).description(about))
    .argument("[id...]", "ids from huiyuan callbacks list", parseId)
    .option("--all", "all undelivered callbacks", false)
    .action(async (named: number[], flags: ChangeFlags, self: Command) => {
      const { bucket, state, all } = flags;
      const ids = named.length === 0 ? undefined : named;
      const isNarrowed = ids !== undefined || bucket !== undefined || state !== undefined;
      if (isNarrowed === all)
        self.error("error: name callbacks by their ids, with --bucket and --state, or with --all");
      const isWide = name === "drop" && ids === undefined;
      if (isWide && !(await confirm("Drop these callbacks? They are never sent then.", flags, self))) {
        process.exitCode = 1;
        return;
      }
      await withServer(flags, terminal, async ({ client, show }) => {
        const answer = await client.call<typeof dropCallbacks | typeof retryCallbacks>(`post /callbacks/${name}`, {
          ids,
          bucket,
          state,
          all,
        });
        await show(answer, name === "drop" ? `${answer.changed} dropped` : sentAgain(answer));
        return ids !== undefined && answer.changed !== new Set(ids).size ? 1 : 0;
      });
    });
  return name === "retry"
    ? command
    : command.option("-y, --yes", "do not ask before many callbacks are dropped", false);
}

function sentAgain({ changed, isSending }: NoticesChanged): string {
  return `${changed} ${changed === 1 ? "is" : "are"} sent again${isSending ? "" : " when the server runs"}`;
}

function describe(notice: NoticePage["notices"][number]): string {
  const { id, state, attempts, dueAt, reason, status, bucket, fileid } = notice;
  const next = dueAt?.slice(0, 19).replace("T", " ") ?? "-";
  const why = [reason, status].filter((part) => part !== undefined).join(" ") || "-";
  const columns = [String(id).padStart(6), state.padEnd(8), String(attempts).padStart(2), next.padEnd(19)];
  return [...columns, why.padEnd(14), shown(bucket), shown(fileid)].join("  ");
}

/** Commander calls it for each argument, with the ids before. */
function parseId(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, wholeNumber(text)];
}
