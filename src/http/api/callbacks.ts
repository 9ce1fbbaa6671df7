// The admin API of upload callbacks: the notices that business servers are owed, listed, ordered anew or dropped.
import type { Hono } from "hono";
import type { Log } from "../../log.ts";
import type { Notices } from "../../upload/notices.ts";
import { type Outbox, OWED_STATES, type Owed, type Selection } from "../../upload/outbox.ts";
import { auditOf } from "./audit.ts";
import type { ApiEnv } from "./env.ts";
import {
  flag,
  type Input,
  invalid,
  optionalIds,
  optionalNumber,
  optionalText,
  optionalWord,
  readBody,
  readQuery,
} from "./input.ts";
import { bucketNamed, type Domains } from "./naming.ts";

export interface CallbackParts {
  readonly outbox: Outbox;
  readonly notices: Pick<Notices, "redeliver" | "isRedelivering">;
}

const MAX_IDS = 1_000;
const MAX_LISTED = 1_000;
const LISTED = 100;

export function addCallbackCalls(
  api: Hono<ApiEnv>,
  parts: CallbackParts & { readonly registry: Domains; readonly log: Log; readonly now: () => number },
): void {
  const { outbox, notices, registry, log, now } = parts;
  api.get("/callbacks", async (context) => {
    const query = readQuery(context.req, ["bucket", "state", "after", "limit"]);
    const after = optionalNumber(query, "after", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
    const limit = optionalNumber(query, "limit", { min: 1, max: MAX_LISTED }) ?? LISTED;
    const page = await outbox.list(selectionOf(query, registry), { after, limit });
    return context.json({ notices: page.map(noticeView), next: page.length < limit ? undefined : page.at(-1)?.id });
  });

  const change = (operation: "retry" | "drop", run: (selection: Selection) => Promise<number>) =>
    api.post(`/callbacks/${operation}`, async (context) => {
      const body = await readBody(context.req, ["bucket", "state", "ids", "all"]);
      const selection = selectionOf(body, registry);
      const isNarrowed = Object.values(selection).some((value) => value !== undefined);
      if (isNarrowed === flag(body, "all")) throw invalid('give either "all" or some of "ids", "bucket" and "state"');
      const { ids, ...rest } = selection;
      const what = { operation: `callbacks ${operation}`, ...rest, ids: ids?.length };
      const audit = auditOf(context, log, what);
      const changed = await run(selection).catch((error: unknown) => {
        audit("failed", {});
        throw error;
      });
      audit("done", { changed });
      return context.json({ changed, isSending: notices.isRedelivering });
    });
  change("retry", async (selection) => {
    const changed = await outbox.retry(selection, now());
    if (notices.isRedelivering) await notices.redeliver();
    return changed;
  });
  change("drop", outbox.drop);
}

function selectionOf(input: Input, registry: Domains): Selection {
  const name = optionalText(input, "bucket");
  // A bucket that the settings name no more may be owed notices still.
  const bucketId = name === undefined || name.includes("/") ? name : bucketNamed(name, registry).bucketId;
  return { bucketId, state: optionalWord(input, "state", OWED_STATES), ids: optionalIds(input, "ids", MAX_IDS) };
}

/** Not its magic context: that is between uploader and business server. */
function noticeView({
  id,
  appid,
  bucket,
  fileid,
  size,
  sha1,
  requestId,
  since,
  attempts,
  dueAt,
  failure,
}: Owed): object {
  return {
    id,
    bucket: `${appid}/${bucket}`,
    fileid,
    size,
    sha1,
    requestId,
    state: dueAt === undefined ? "given-up" : "waiting",
    attempts,
    since: new Date(since).toISOString(),
    ...(dueAt === undefined ? {} : { dueAt: new Date(dueAt).toISOString() }),
    ...failure,
  };
}
