// One image: what is stored, where it came from, what can be done with it, and a preview of processing.
import { useComputed, useSignal } from "@preact/signals";
import type { StatAnswer } from "../answers.ts";
import { get, Problem, postLines } from "../api.ts";
import { useLoaded } from "../load.ts";
import { ConfirmButton } from "../parts/dialog.tsx";
import { Card, Empty, Page, ProblemNote, Show } from "../parts/parts.tsx";
import { query } from "../router.tsx";
import { ago } from "../text/format.ts";
import { t } from "../text/text.ts";
import { Facts, Hashes, ServedFrom } from "./image/facts.tsx";
import { Preview } from "./image/preview.tsx";
import { SignCard } from "./image/sign.tsx";
import { Variants } from "./image/variants.tsx";

type Change = "delete" | "undelete" | "purge";

export function ImagePage() {
  const bucket = useComputed(() => query.value.get("bucket") ?? "");
  const key = useComputed(() => query.value.get("key") ?? "");
  const stat = useLoaded((signal) =>
    get<StatAnswer>("/objects/stat", { bucket: bucket.value, name: key.value }, signal),
  );
  const problem = useSignal<Problem | undefined>(undefined);
  const run = async (change: Change) => {
    problem.value = undefined;
    try {
      await postLines<{ readonly message?: string }>(
        `/objects/${change}`,
        { bucket: bucket.value, names: [key.value] },
        ({ message }) => {
          if (message !== undefined) problem.value = new Problem(400, { message });
        },
      );
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(0);
    }
    stat.reload();
  };
  return (
    <Page title={key.value} about={bucket.value}>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <Show of={stat.state} reload={stat.reload} lines={8}>
        {(answer) => <Entry key={answer.key} answer={answer} run={(change) => void run(change)} />}
      </Show>
    </Page>
  );
}

function Entry({ answer, run }: { readonly answer: StatAnswer; readonly run: (change: Change) => void }) {
  const { state, bucket, key, tombstone, failure, object } = answer;
  const instruction = useSignal("");
  if (state === "tombstone" && tombstone !== undefined)
    return (
      <Empty title={t("isDeleted", { when: ago(tombstone.deletedAt) })}>
        <p>{t("isDeletedHint")}</p>
        <button type="button" onClick={() => run("undelete")}>
          {t("undelete")}
        </button>
      </Empty>
    );
  if (object === undefined)
    return <Empty title={failure === undefined ? t("isAbsent") : t("storeFailed", { failure })} />;
  return (
    <div class="halves">
      <div class="stack">
        <Preview bucket={bucket} imageKey={key} object={object} instruction={instruction} />
        <Variants bucket={bucket} imageKey={key} />
        <Hashes object={object} />
      </div>
      <div class="stack">
        <Facts answer={answer} />
        <ServedFrom answer={answer} />
        <SignCard bucket={bucket} imageKey={key} instruction={instruction} />
        <Card title={t("changes")}>
          <div class="stack">
            <div class="row">
              <button type="button" onClick={() => run("purge")}>
                {t("purge")}
              </button>
              <ConfirmButton label={t("delete")} question={t("deleteQuestion", { key })} run={() => run("delete")} />
            </div>
            <p class="hint">{t("purgeHint")}</p>
          </div>
        </Card>
      </div>
    </div>
  );
}
