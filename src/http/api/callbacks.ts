// Admin API calls for upload callbacks: list, retry or drop the notices that business servers have not received yet.
// upload/callback/ stores and delivers them.
import type { Log } from "../../core/log.ts";
import type { Notices } from "../../upload/callback/notices.ts";
import { OUTBOX_STATES, type Outbox, type OutboxEntry, type Selection } from "../../upload/callback/outbox.ts";
import { auditOf } from "./audit.ts";
import type { Calls } from "./calls.ts";
import { bucket, flag, ids, invalid, whole, word } from "./input.ts";
import { bucketIdNamed, type Domains } from "./naming.ts";
import { noticePage, noticesChanged } from "./openapi/answers.ts";

export interface CallbackParts {
  readonly outbox: Outbox;
  readonly notices: Pick<Notices, "redeliver" | "isRedelivering">;
}

const MAX_LISTED = 1_000;
const LISTED = 100;

const SELECTION = { bucket: bucket(), state: word(OUTBOX_STATES).optional() };

export function addCallbackCalls(
  calls: Calls,
  parts: CallbackParts & { readonly registry: Domains; readonly log: Log; readonly now: () => number },
): void {
  const { outbox, notices, registry, log, now } = parts;
  calls.get(
    "/callbacks",
    {
      summary: "List undelivered callback notices",
      fields: {
        ...SELECTION,
        after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
        limit: whole(1, MAX_LISTED).default(LISTED),
      },
      answer: { json: noticePage },
    },
    async (context, { after, limit, bucket: name, state }) => {
      const selection = { bucketId: bucketIdNamed(name, registry), state, ids: undefined };
      const page = await outbox.list(selection, { after, limit });
      return context.json({ notices: page.map(noticeView), next: page.length < limit ? undefined : page.at(-1)?.id });
    },
  );

  const fields = {
    ...SELECTION,
    ids: ids().optional(),
    all: flag().default(false).describe("Instead of the other fields: every notice."),
  };
  const change = (operation: "retry" | "drop", summary: string, run: (selection: Selection) => Promise<number>) =>
    calls.post(
      `/callbacks/${operation}`,
      { summary, fields, answer: { json: noticesChanged } },
      async (context, { all, bucket: name, state, ids: chosen }) => {
        const selection = { bucketId: bucketIdNamed(name, registry), state, ids: chosen };
        const isNarrowed = Object.values(selection).some((value) => value !== undefined);
        if (isNarrowed === all) throw invalid('give either "all" or some of "ids", "bucket" and "state"');
        const what = { operation: `callbacks ${operation}`, ...selection, ids: chosen?.length };
        const audit = auditOf(context, log, what);
        const changed = await run(selection).catch((error: unknown) => {
          audit("failed", {});
          throw error;
        });
        audit("done", { changed });
        return context.json({ changed, isSending: notices.isRedelivering });
      },
    );
  change("retry", "Send notices now", async (selection) => {
    const changed = await outbox.retry(selection, now());
    if (notices.isRedelivering) await notices.redeliver();
    return changed;
  });
  change("drop", "Drop notices for good", outbox.drop);
}

/** Omits the magic context, which is private to uploader and business server. */
function noticeView({ appid, bucket, since, dueAt, failure, ...entry }: OutboxEntry): object {
  const { id, fileid, size, sha1, requestId, attempts } = entry;
  return {
    ...{ id, bucket: `${appid}/${bucket}`, fileid, size, sha1, requestId },
    ...{ state: dueAt === undefined ? "given-up" : "waiting", attempts, since: new Date(since).toISOString() },
    ...(dueAt === undefined ? {} : { dueAt: new Date(dueAt).toISOString() }),
    ...failure,
  };
}
