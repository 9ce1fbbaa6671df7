// Tests the callback of a bucket: a notice, marked as a test, to the server in the settings.
import { useSignal } from "@preact/signals";
import type { CallbackTested } from "../../callbacks/contract.ts";
import { post } from "../../console/api.ts";
import { useCall } from "../../console/load.ts";
import { Badge, ProblemNote } from "../../console/parts/parts.tsx";
import { milliseconds } from "../../console/text/format.ts";
import { t } from "../words.ts";

interface CallbackTestProps {
  readonly bucket: string;
  /** Whether the page has changes that are not saved. */
  readonly isChanged: boolean;
}

export function CallbackTest({ bucket, isChanged }: CallbackTestProps) {
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
