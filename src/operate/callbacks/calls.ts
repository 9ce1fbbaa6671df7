// Admin API calls for upload callbacks: list, retry or drop the notices that business servers have not received yet.
// serve/upload/callback/ stores and delivers them.
import type { Log } from "../../core/log.ts";
import { toKey } from "../../core/object.ts";
import { publicUrl } from "../../serve/http/response/public-url.ts";
import type { RestApiParts } from "../../serve/http/rest/call.ts";
import type { OutboxEntry, Selection } from "../../serve/upload/callback/outbox.ts";
import type { Service } from "../../serve/wiring/service.ts";
import { auditOf, unlessFailed } from "../admin/audit.ts";
import type { Calls } from "../admin/calls.ts";
import { invalid } from "../admin/input.ts";
import { bucketIdNamed, bucketNamed, type Domains, managedBucket } from "../admin/naming.ts";
import { dropCallbacks, listCallbacks, retryCallbacks, testCallback } from "./contract.ts";

interface CallParts extends Pick<Service["callbacks"], "outbox" | "notices"> {
  readonly registry: Domains;
  readonly restApi: Pick<RestApiParts, "projects" | "place">;
  readonly log: Log;
}

export function addCallbackCalls(calls: Calls, parts: CallParts): void {
  const { outbox, notices, registry, log } = parts;
  calls.add(listCallbacks, async (context, { after, limit, bucket: name, state }) => {
    const selection = { bucketId: bucketIdNamed(name, registry), state, ids: undefined };
    const page = await outbox.list(selection, { after, limit });
    return context.json({ notices: page.map(noticeView), next: page.length < limit ? undefined : page.at(-1)?.id });
  });

  const change = (
    call: typeof retryCallbacks | typeof dropCallbacks,
    operation: "retry" | "drop",
    run: (selection: Selection) => Promise<number>,
  ) =>
    calls.add(call, async (context, { all, bucket: name, state, ids: chosen }) => {
      const selection = { bucketId: bucketIdNamed(name, registry), state, ids: chosen };
      const isNarrowed = Object.values(selection).some((value) => value !== undefined);
      if (isNarrowed === all) throw invalid('give either "all" or some of "ids", "bucket" and "state"');
      const what = { operation: `callbacks ${operation}`, ...selection, ids: chosen?.length };
      const audit = auditOf(context, log, what);
      const changed = await unlessFailed(audit, () => run(selection));
      audit("done", { changed });
      return context.json({ changed, isSending: notices.isRedelivering });
    });
  change(retryCallbacks, "retry", async (selection) => {
    const changed = await outbox.retry(selection, Date.now());
    if (notices.isRedelivering) await notices.redeliver();
    return changed;
  });
  change(dropCallbacks, "drop", (selection) => outbox.drop(selection));
  addTest(calls, parts);
}

/** The file of a test does not exist; its name shows that it is a test. SHA-1 and size are those of no bytes. */
const SAMPLE = {
  fileid: toKey("huiyuan-callback-test"),
  magicContext: '{"test":true}',
  sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
  ...{ size: 0, userid: "0" },
};

function addTest(calls: Calls, { notices, registry, restApi, log }: CallParts): void {
  calls.add(testCallback, async (context, { bucket: named }) => {
    const { bucketId } = bucketNamed(named, registry);
    const { name, publicDomain } = managedBucket(bucketId, restApi.projects());
    const [appid = ""] = bucketId.split("/");
    const url = publicUrl(restApi.place(), publicDomain, SAMPLE.fileid) ?? `http://${publicDomain}/${SAMPLE.fileid}`;
    const what = { operation: "callbacks test", bucket: bucketId };
    const audit = auditOf(context, log, what);
    const began = performance.now();
    const tested = await notices.test({ ...SAMPLE, appid, bucket: name, url, requestId: context.get("requestId") });
    if (tested === undefined) throw invalid(`the bucket ${bucketId} has no callback`);
    const { delivery, status, answer } = tested;
    const reason = delivery.ok ? undefined : delivery.failure.reason;
    audit(delivery.ok ? "done" : "failed", { status, reason });
    const milliseconds = Math.round(performance.now() - began);
    return context.json({ bucket: bucketId, delivered: delivery.ok, reason, status, milliseconds, answer });
  });
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
