// The buttons of a migration: they stop it, or continue, retry, rescan, verify and remove it.
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { ConfirmButton } from "../../console/parts/dialog.tsx";
import { type TextName, t } from "../../console/text/text.ts";
import type { MigrationAnswer } from "../contract.ts";
import { countOf, lastVerification } from "./verification.tsx";

interface ActionsProps {
  readonly migration: MigrationAnswer;
  /** Calls the admin API, such as `start`. */
  readonly call: (name: string, more?: object) => void;
}

const SAMPLES: readonly (readonly [string, TextName])[] = [
  ["1000", "sampleThousand"],
  ["5%", "sampleShare"],
  ["100%", "sampleAll"],
];

export function Actions({ migration, call }: ActionsProps) {
  const { id, isRunning, counters: { failed = 0 } = {} } = migration;
  const found = lastVerification(migration);
  if (isRunning)
    return (
      <div class="row">
        <button type="button" onClick={() => call("stop")}>
          {t("stop")}
        </button>
      </div>
    );
  const isRetry = failed > 0 || (found !== undefined && countOf(found, ["differs", "missing"]) > 0);
  return (
    <div class="row">
      <button type="button" class="primary" onClick={() => call("start")}>
        {t(isRetry ? "retry" : "continue")}
      </button>
      <button type="button" onClick={() => call("start", { rescan: true })}>
        {t("rescan")}
      </button>
      <VerifyForm verify={(sample) => call("verify", { sample })} />
      <ConfirmButton label={t("remove")} question={t("removeQuestion", { id })} run={() => call("remove")} />
    </div>
  );
}

function VerifyForm({ verify }: { readonly verify: (sample: string) => void }) {
  const sample = useSignal("1000");
  const id = useId();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    verify(sample.value);
  };
  return (
    <form class="row one-line" onSubmit={submit}>
      <label class="visually-hidden" for={id}>
        {t("verifySample")}
      </label>
      <select id={id} value={sample} onChange={({ currentTarget }) => (sample.value = currentTarget.value)}>
        {SAMPLES.map(([value, words]) => (
          <option key={value} value={value}>
            {t(words)}
          </option>
        ))}
      </select>
      <button type="submit">{t("verify")}</button>
    </form>
  );
}
