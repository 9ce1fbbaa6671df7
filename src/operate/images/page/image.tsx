// One image: what is stored, where it came from, what can be done with it, and a preview of processing.
import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { get, Problem, postLines, urlOf } from "../../console/api.ts";
import { useCall, useLoaded } from "../../console/load.ts";
import { Badge, Button, Card, ConfirmButton, Empty, Page, ProblemNote, Show } from "../../console/parts/parts.tsx";
import { Link, query } from "../../console/router.tsx";
import { failureText } from "../../console/text/failures.ts";
import { ago } from "../../console/text/format.ts";
import type { Confirmation } from "../../nodes/contract.ts";
import { ConfirmedNote } from "../../nodes/page.tsx";
import type { StatAnswer, WarmLine } from "../contract.ts";
import { type TextName, t } from "../words.ts";
import { Facts, Hashes, ServedFrom, Variants } from "./facts.tsx";
import { Preview } from "./preview.tsx";
import { SignCard } from "./sign.tsx";

/** Calls of the API that change one image. */
type Change = "objects/delete" | "objects/undelete" | "objects/purge" | "warm";

/** A line of any of these calls. */
type ChangedLine = Partial<WarmLine> & { readonly end?: { readonly confirmation?: Confirmation } };

/** Why the image was not fetched, by the result of its line. */
const UNFETCHED: Readonly<Record<string, TextName>> = {
  missing: "originLacks",
  unmirrored: "isUnmirrored",
  unstored: "notStorable",
};

export function ImagePage() {
  const bucket = useComputed(() => query.value.get("bucket") ?? "");
  const key = useComputed(() => query.value.get("key") ?? "");
  const stat = useLoaded((signal) =>
    get<StatAnswer>("/objects/stat", { bucket: bucket.value, name: key.value }, signal),
  );
  return (
    <Page title={key.value} about={bucket.value}>
      <Show of={stat.state} reload={stat.reload} lines={8}>
        {(answer) => <Entry key={answer.key} answer={answer} reload={stat.reload} />}
      </Show>
    </Page>
  );
}

function Entry({ answer, reload }: { readonly answer: StatAnswer; readonly reload: () => void }) {
  const { state, bucket, key, url, tombstone, failure, object } = answer;
  const instruction = useSignal("");
  const buckets = useLoaded((signal) => get<BucketsAnswer>("/buckets", {}, signal));
  const { problem, run } = useCall();
  const done = useSignal<Change | undefined>(undefined);
  const confirmation = useSignal<Confirmation | undefined>(undefined);
  const change = (path: Change) => async () => {
    [done.value, confirmation.value] = [undefined, undefined];
    await run(async () => {
      await postLines<ChangedLine>(`/${path}`, { bucket, names: [key] }, ({ result = "", message, end }) => {
        confirmation.value = end?.confirmation;
        const unfetched = UNFETCHED[result];
        const words = unfetched === undefined ? message : t(unfetched);
        if (words !== undefined) throw new Problem(400, { message: words });
      });
      // This call waits until the store has a fetched image.
      if (path === "warm") await fetch(urlOf("/objects/image", { bucket, key }));
      done.value = path;
    });
    reload();
  };
  const note =
    problem.value === undefined ? (
      confirmation.value !== undefined && <ConfirmedNote {...confirmation.value} />
    ) : (
      <ProblemNote problem={problem.value} />
    );
  /** How the image came that is there, or was there until it was deleted on this page. */
  const via = useRef(object?.provenance.via);
  via.current = object?.provenance.via ?? via.current;
  const own = buckets.state.value.value?.buckets.find((each) => each.bucket === bucket);
  /** No origin has it. */
  const isOnlyHere = via.current === "upload" || own?.domains.some(({ isMirrored }) => isMirrored) === false;
  if (state === "tombstone" && tombstone !== undefined)
    return (
      <Empty title={t("isDeleted", { when: ago(tombstone.deletedAt) })}>
        <p>{t(isOnlyHere ? "isGone" : "isDeletedHint")}</p>
        {isOnlyHere ? (
          <Link href={`/images?${new URLSearchParams({ bucket, prefix: key.replace(/[^/]*$/, "") })}`}>
            {t("upload")}
          </Link>
        ) : (
          <Button label={t("undelete")} run={change("objects/undelete")} />
        )}
        {note}
      </Empty>
    );
  if (object === undefined)
    return failure === undefined ? (
      <Empty title={t("isAbsent")}>
        <Button label={t("fetchNow")} run={change("warm")} />
        {note}
      </Empty>
    ) : (
      <Empty title={t("storeFailed", { failure: failureText(failure) })} />
    );
  const isMirrored = object.provenance.via === "mirror";
  return (
    <div class="halves">
      <div class="stack">
        <Preview bucket={bucket} imageKey={key} url={url} object={object} instruction={instruction} />
        <Variants bucket={bucket} imageKey={key} />
        <Hashes object={object} />
      </div>
      <div class="stack">
        <Facts answer={answer} />
        <ServedFrom answer={answer} buckets={buckets} />
        <SignCard bucket={bucket} imageKey={key} instruction={instruction} />
        <Card title={t("changes")} isStack>
          <div class="row">
            <Button label={t("purge")} disabled={!isMirrored} run={change("objects/purge")} />
            <ConfirmButton
              label={t("delete")}
              question={t(isOnlyHere ? "deleteForGood" : "deleteQuestion", { key })}
              run={change("objects/delete")}
            />
            <span role="status">{done.value === "objects/purge" && <Badge tone="good">{t("purged")}</Badge>}</span>
          </div>
          {note}
          <p class="hint">{t(isMirrored ? "purgeHint" : "purgeNot")}</p>
        </Card>
      </div>
    </div>
  );
}
