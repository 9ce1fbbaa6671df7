// The form that starts a migration. Its controls have the names of the options of a migration's config file, so that
// the request is made from what is filled in.
import { useSignal } from "@preact/signals";
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { get, post } from "../../console/api.ts";
import { submitting, useCall, useLoaded } from "../../console/load.ts";
import { InputField, Select } from "../../console/parts/fields.tsx";
import { Button, Card, ProblemNote, Show } from "../../console/parts/parts.tsx";
import { listAt } from "../../console/tree.ts";
import type { SettingsState } from "../../settings/contract.ts";
import type { MigrationAnswer } from "../contract.ts";
import { t } from "../words.ts";
import { requestOf } from "./migration-request.ts";
import { SOURCES, type SourceKind } from "./source-fields.tsx";

/** `done`: it was started, or given up. */
export function MigrationForm({ done }: { readonly done: () => void }) {
  const facts = useLoaded(async (signal) => {
    const [{ buckets }, { settings }] = await Promise.all([
      get<BucketsAnswer>("/buckets", {}, signal),
      get<SettingsState>("/settings", {}, signal),
    ]);
    return { buckets, folders: listAt(settings, ["server", "migrationFolders"]).map(String) };
  });
  return (
    <Card title={t("newMigration")} about={t("newMigrationAbout")}>
      <Show of={facts.state} reload={facts.reload} lines={8}>
        {(known) => <Form {...known} done={done} />}
      </Show>
    </Card>
  );
}

interface FormProps extends Pick<BucketsAnswer, "buckets"> {
  readonly folders: readonly string[];
  readonly done: () => void;
}

function Form({ buckets, folders, done }: FormProps) {
  const kind = useSignal<SourceKind>("origins");
  const { problem, isRunning, run } = useCall();
  const send = submitting(async (data) => {
    if ((await run(() => post<MigrationAnswer>("/migrations", requestOf(data)))) !== undefined) done();
  });
  const { Fields } = SOURCES[kind.value];
  return (
    <form class="stack" onSubmit={send} autocomplete="off">
      <InputField
        label={t("migrationName")}
        hint={t("migrationNameHint")}
        {...{ name: "id", class: "mono", required: true, maxLength: 40, pattern: "[a-z0-9][a-z0-9\\-]*" }}
      />
      <SourceChoice kind={kind.value} choose={(chosen) => (kind.value = chosen)} />
      {/* Another kind has other fields: nothing that was typed is carried over. */}
      <div key={kind.value} class="stack">
        <Fields buckets={buckets} folders={folders} />
        {kind.value !== "origins" && (
          <Select
            name="bucket"
            label={t("targetBucket")}
            options={buckets.map(({ bucket }) => [bucket, bucket])}
            required
          />
        )}
      </div>
      <Options />
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <div class="row">
        <Button label={t(isRunning.value ? "starting" : "startMigration")} class="primary" disabled={isRunning.value} />
        <Button label={t("cancel")} run={done} />
      </div>
    </form>
  );
}

interface SourceChoiceProps {
  readonly kind: SourceKind;
  readonly choose: (kind: SourceKind) => void;
}

function SourceChoice({ kind, choose }: SourceChoiceProps) {
  return (
    <fieldset>
      <legend>{t("source")}</legend>
      <div class="grid">
        {(Object.keys(SOURCES) as SourceKind[]).map((each) => (
          <label key={each} class="choice">
            <input type="radio" name="kind" value={each} checked={each === kind} onChange={() => choose(each)} />
            <span>
              <strong>{t(SOURCES[each].name)}</strong>
              <br />
              <span class="hint">{t(SOURCES[each].hint)}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Options() {
  return (
    <details>
      <summary>{t("options")}</summary>
      <div class="stack">
        <div class="grid">
          <Select
            name="overwrite"
            label={t("overwrite")}
            options={[
              ["never", t("overwriteNever")],
              ["newer", t("overwriteNewer")],
              ["always", t("overwriteAlways")],
            ]}
          />
          <InputField
            label={t("requestsLimit")}
            hint={t("requestsLimitHint")}
            {...{ name: "limit.requests.per.second", type: "number", min: 0, inputMode: "numeric" }}
          />
        </div>
        <label class="row one-line">
          <input type="checkbox" name="acceptSuspect" />
          <span>{t("acceptSuspect")}</span>
        </label>
      </div>
    </details>
  );
}
