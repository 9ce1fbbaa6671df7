// Migrations that this server runs: how far each is, how fast, what failed and why, and what can be done with it.
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { get, post } from "../../console/api.ts";
import { submitting, useCall, useLoaded } from "../../console/load.ts";
import {
  Badge,
  Button,
  Card,
  ConfirmButton,
  Empty,
  Page,
  ProblemNote,
  Show,
  type Tone,
} from "../../console/parts/parts.tsx";
import { bytes, count, duration } from "../../console/text/format.ts";
import type { MigrationAnswer, MigrationList } from "../contract.ts";
import { type TextName, t } from "../words.ts";
import { countOf, Failures, lastVerification, Verification } from "./findings.tsx";
import { MigrationForm } from "./migration-form.tsx";

export function MigrationsPage() {
  const list = useLoaded((signal) => get<MigrationList>("/migrations", {}, signal), { everyMs: 2_000 });
  const isAsking = useSignal(false);
  const end = () => {
    isAsking.value = false;
    list.reload();
  };
  const open = !isAsking.value && (
    <Button label={t("newMigration")} class="primary" run={() => (isAsking.value = true)} />
  );
  return (
    <Page title={t("migrations")} about={t("migrationsAbout")} actions={open}>
      {isAsking.value && <MigrationForm done={end} />}
      <Show of={list.state} reload={list.reload}>
        {({ migrations }) =>
          migrations.length === 0 ? (
            !isAsking.value && <Empty title={t("noMigrations")} hint={t("noMigrationsHint")} />
          ) : (
            <div class="stack">
              {migrations.map((migration) => (
                <MigrationCard key={migration.id} migration={migration} reload={list.reload} />
              ))}
            </div>
          )
        }
      </Show>
    </Page>
  );
}

interface MigrationProps {
  readonly migration: MigrationAnswer;
  readonly reload: () => void;
}

function MigrationCard({ migration, reload }: MigrationProps) {
  const { id, source, isRunning, ended, counters: { failed = 0 } = {}, output } = migration;
  const { problem, run } = useCall();
  const call = async (name: string, more: object = {}) => {
    await run(() => post<MigrationAnswer>(`/migrations/${name}`, { id, ...more }));
    reload();
  };
  const [tone, words] = stateOf(migration);
  // Only its output says why a run ended before it copied or compared anything.
  const isFailed = !isRunning && ended !== undefined && ended !== "0";
  const isUnexplained = isFailed && failed === 0 && lastVerification(migration) === undefined;
  return (
    <Card title={id} about={source} actions={<Badge tone={tone}>{words}</Badge>} isStack>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <Progress migration={migration} />
      <Verification migration={migration} />
      {failed > 0 && <Failures id={id} failed={failed} />}
      {output !== "" && (
        <details open={isUnexplained}>
          <summary>{t("output")}</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it. */}
          <pre tabIndex={0}>{output}</pre>
        </details>
      )}
      <Actions migration={migration} call={(name, more) => void call(name, more)} />
    </Card>
  );
}

function stateOf(migration: MigrationAnswer): readonly [Tone, string] {
  const { isRunning, isVerifying, ended, counters } = migration;
  const { submitted = 0, successful = 0, failed = 0, isScanning = 1 } = counters ?? {};
  const found = lastVerification(migration);
  if (isRunning) return ["good", t(isVerifying ? "isVerifying" : "isRunning")];
  if (ended !== undefined && ended !== "0" && ended !== "1") return ["bad", t("isEnded", { how: ended })];
  if (failed > 0) return ["warn", t("isIncomplete")];
  if (found !== undefined && countOf(found) > 0) return ["warn", t("isDifferent")];
  const isWhole = submitted > 0 && successful === submitted && isScanning === 0;
  if (isWhole || ended === "0") return ["good", t("isDone")];
  return ended === undefined ? ["plain", t("isStopped")] : ["warn", t("endedEarly")];
}

function Progress({ migration: { isRunning, isVerifying, counters = {} } }: Pick<MigrationProps, "migration">) {
  const { submitted = 0, successful = 0, failed = 0, same = 0, deleted = 0, bytes: sent = 0, isScanning } = counters;
  const done = successful + failed;
  return (
    <div class="stack tight">
      <progress value={done} max={Math.max(submitted, 1)} aria-label={t("progress")} />
      <p>
        {t("copiedOf", { done: count(successful), all: count(submitted), bytes: bytes(sent) })}
        {failed > 0 && <strong class="fault"> {t("failedCount", { count: count(failed) })}</strong>}
      </p>
      {isRunning && !isVerifying && <PaceLine counters={counters} left={submitted - done} />}
      {(same > 0 || deleted > 0 || (isRunning && isScanning === 1)) && (
        <p class="hint">
          {isRunning && isScanning === 1 && `${t("stillListing")} `}
          {same > 0 && `${t("sameCount", { count: count(same) })} `}
          {deleted > 0 && t("deletedCount", { count: count(deleted) })}
        </p>
      )}
    </div>
  );
}

interface PaceProps {
  readonly counters: NonNullable<MigrationAnswer["counters"]>;
  /** Objects that are listed and not done. */
  readonly left: number;
}

/** The average since the page has seen the run: a single poll says little. */
function PaceLine({ counters, left }: PaceProps) {
  const { successful = 0, failed = 0, bytes: sent = 0, isScanning } = counters;
  const now = { at: Date.now(), done: successful + failed, sent };
  const first = useRef(now);
  // A changed object is copied again.
  if (now.done < first.current.done) first.current = now;
  const seconds = Math.max(now.at - first.current.at, 1) / 1_000;
  const perSecond = (now.done - first.current.done) / seconds;
  const values = {
    rate: count(Math.round(perSecond * 10) / 10),
    bytes: bytes(Math.round((now.sent - first.current.sent) / seconds)),
  };
  // The end is not known while the source is being listed.
  return (
    <p class="hint">
      {perSecond === 0 || isScanning === 1
        ? t("paceLineOpen", values)
        : t("paceLine", { ...values, left: duration(left / perSecond) })}
    </p>
  );
}

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

function Actions({ migration, call }: ActionsProps) {
  const { id, isRunning, counters: { failed = 0 } = {} } = migration;
  const found = lastVerification(migration);
  if (isRunning)
    return (
      <div class="row">
        <Button label={t("stop")} run={() => call("stop")} />
      </div>
    );
  const isRetry = failed > 0 || (found !== undefined && countOf(found, ["differs", "missing"]) > 0);
  return (
    <div class="row">
      <Button label={t(isRetry ? "retry" : "continue")} class="primary" run={() => call("start")} />
      <Button label={t("rescan")} run={() => call("start", { rescan: true })} />
      <VerifyForm verify={(sample) => call("verify", { sample })} />
      <ConfirmButton label={t("remove")} question={t("removeQuestion", { id })} run={() => call("remove")} />
    </div>
  );
}

function VerifyForm({ verify }: { readonly verify: (sample: string) => void }) {
  const submit = submitting((data) => verify(String(data.get("sample"))));
  return (
    <form class="row one-line" onSubmit={submit}>
      <select name="sample" aria-label={t("verifySample")}>
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
