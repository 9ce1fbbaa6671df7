// Migrations that this server runs: how far they are, what failed and why.
import { useSignal } from "@preact/signals";
import type { MigrationAnswer, MigrationFailures, MigrationList } from "../answers.ts";
import { get, Problem, post } from "../api.ts";
import { useLoaded } from "../load.ts";
import { Badge, Card, ConfirmButton, Empty, Page, ProblemNote, Scroll, Show } from "../parts/parts.tsx";
import { bytes, count } from "../text/format.ts";
import { t } from "../text/text.ts";

export function MigrationsPage() {
  const list = useLoaded((signal) => get<MigrationList>("/migrations", {}, signal), { everyMs: 2_000 });
  return (
    <Page title={t("migrations")} about={t("migrationsAbout")}>
      <Show of={list.state} reload={list.reload}>
        {({ migrations }) =>
          migrations.length === 0 ? (
            <Empty title={t("noMigrations")}>
              <p>{t("noMigrationsHint")}</p>
            </Empty>
          ) : (
            <div class="stack">
              {migrations.map((migration) => (
                <Migration key={migration.id} migration={migration} reload={list.reload} />
              ))}
            </div>
          )
        }
      </Show>
    </Page>
  );
}

interface MigrationProps {
  readonly migration: MigrationList["migrations"][number];
  readonly reload: () => void;
}

function Migration({ migration: { id, source, isRunning, ended, counters = {} }, reload }: MigrationProps) {
  const { submitted = 0, successful = 0, failed = 0, bytes: sent = 0 } = counters;
  const problem = useSignal<Problem | undefined>(undefined);
  const call = async (name: string, more: object = {}) => {
    problem.value = undefined;
    try {
      await post<MigrationAnswer>(`/migrations/${name}`, { id, ...more });
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(0);
    }
    reload();
  };
  return (
    <Card
      title={id}
      about={source}
      actions={<Badge tone={isRunning ? "good" : "plain"}>{isRunning ? t("isRunning") : endText(ended)}</Badge>}
    >
      <div class="stack">
        {problem.value !== undefined && <ProblemNote problem={problem.value} />}
        <progress value={successful + failed} max={Math.max(submitted, 1)} aria-label={t("progress")} />
        <p>
          {t("copiedOf", { done: count(successful), all: count(submitted), bytes: bytes(sent) })}
          {failed > 0 && <strong class="fault"> {t("failedCount", { count: count(failed) })}</strong>}
        </p>
        {failed > 0 && <Failures id={id} />}
        <div class="row">
          {isRunning ? (
            <button type="button" onClick={() => void call("stop")}>
              {t("stop")}
            </button>
          ) : (
            <>
              <button type="button" class="primary" onClick={() => void call("start")}>
                {failed > 0 ? t("retry") : t("continue")}
              </button>
              <button type="button" onClick={() => void call("start", { rescan: true })}>
                {t("rescan")}
              </button>
              <ConfirmButton
                label={t("remove")}
                question={t("removeQuestion", { id })}
                run={() => void call("remove")}
              />
            </>
          )}
        </div>
      </div>
    </Card>
  );
}

function endText(ended: string | undefined): string {
  if (ended === undefined) return t("isStopped");
  return ended === "0" ? t("isDone") : ended === "1" ? t("isIncomplete") : t("isEnded", { how: ended });
}

function Failures({ id }: { readonly id: string }) {
  const failures = useLoaded((signal) => get<MigrationFailures>("/migrations/failures", { id, limit: 20 }, signal));
  return (
    <Show of={failures.state} reload={failures.reload}>
      {({ failures: all, next }) => (
        <Scroll>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("object")}</th>
                <th scope="col">{t("reason")}</th>
              </tr>
            </thead>
            <tbody>
              {all.map(({ serial, fileid, log }) => (
                <tr key={serial}>
                  <td class="long mono">{fileid}</td>
                  <td class="long">{log}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {next !== undefined && <p class="hint">{t("moreFailures")}</p>}
        </Scroll>
      )}
    </Show>
  );
}
