// The answers of a bucket: the page of a 404, and the callback after an upload, which can be tested.
import { useSignal } from "@preact/signals";
import type { CallbackTested } from "../../callbacks/contract.ts";
import { post } from "../../console/api.ts";
import { useCall } from "../../console/load.ts";
import { Badge, Card, ProblemNote } from "../../console/parts/parts.tsx";
import { milliseconds } from "../../console/text/format.ts";
import { t } from "../words.ts";
import { ChoiceLeaf, Fields, type Form, SecretLeaf, TextLeaf, ToggleLeaf } from "../../settings/page/fields.tsx";

interface AnswersProps {
  readonly form: Form;
  readonly bucket: string;
  /** Whether the page has changes that are not saved. */
  readonly isChanged: boolean;
}

export function Answers({ form, bucket, isChanged }: AnswersProps) {
  const hasCallback = form.value("callback") !== undefined;
  return (
    <div class="stack">
      <Card title={t("notFoundPage")} about={t("notFoundPageAbout")}>
        <TextLeaf
          form={form}
          path={["notFound", "file"]}
          whole={["notFound"]}
          label={t("file")}
          hint={t("fileHint")}
          placeholder="./404.png"
        />
      </Card>
      <Card title={t("callback")} about={t("callbackAbout")}>
        <div class="stack">
          <TextLeaf
            form={form}
            path={["callback", "url"]}
            whole={["callback"]}
            label="URL"
            hint={t("callbackUrlHint")}
            placeholder="https://app.example.com/uploaded"
          />
          {hasCallback && (
            <>
              <Fields>
                <SecretLeaf form={form} path={["callback", "secret"]} label={t("callbackSecret")} />
                <TextLeaf
                  form={form}
                  path={["callback", "timeout"]}
                  label={t("callbackTimeout")}
                  hint={t("durationHint")}
                  placeholder="3s"
                />
                <ChoiceLeaf
                  form={form}
                  path={["callback", "onFailure"]}
                  label={t("callbackFailure")}
                  choices={[
                    ["report", "callbackReport"],
                    ["accept", "callbackAccept"],
                  ]}
                />
                <ToggleLeaf
                  form={form}
                  path={["callback", "allowPrivate"]}
                  label={t("allowPrivate")}
                  hint={t("allowPrivateHint")}
                />
              </Fields>
              <CallbackTest bucket={bucket} isChanged={isChanged} />
            </>
          )}
        </div>
      </Card>
    </div>
  );
}

function CallbackTest({ bucket, isChanged }: Omit<AnswersProps, "form">) {
  const answer = useSignal<CallbackTested | undefined>(undefined);
  const { problem, isRunning, run } = useCall();
  const test = async () => {
    answer.value = undefined;
    answer.value = await run(() => post<CallbackTested>("/callbacks/test", { bucket }));
  };
  return (
    <div class="stack" aria-live="polite">
      <div class="row">
        <button type="button" disabled={isChanged || isRunning.value} onClick={() => void test()}>
          {isRunning.value ? t("isTesting") : t("testCallback")}
        </button>
        <span class="hint">{isChanged ? t("testAfterSaving") : t("testCallbackHint")}</span>
      </div>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      {answer.value !== undefined && <Tested answer={answer.value} />}
    </div>
  );
}

function Tested({
  answer: { delivered, reason, status, milliseconds: time, answer },
}: {
  readonly answer: CallbackTested;
}) {
  const why = [status === undefined ? [] : [`HTTP ${status}`], reason ?? [], milliseconds(time)].flat().join(" · ");
  return (
    <>
      <p>
        <Badge tone={delivered ? "good" : "bad"}>{delivered ? t("delivered") : t("notDelivered")}</Badge> {why}
      </p>
      {answer !== "" && <pre>{answer}</pre>}
    </>
  );
}
