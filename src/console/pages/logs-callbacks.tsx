// Callbacks that the receiver has not confirmed.
import { useSignal } from "@preact/signals";
import type { NoticePage, NoticesChanged } from "../answers.ts";
import { get, Problem, post } from "../api.ts";
import { useLoaded } from "../load.ts";
import { ConfirmButton } from "../parts/dialog.tsx";
import { Badge, Card, Empty, ProblemNote, Scroll, Show } from "../parts/parts.tsx";
import { ago, count } from "../text/format.ts";
import { t } from "../text/text.ts";

export function Callbacks() {
  const notices = useLoaded((signal) => get<NoticePage>("/callbacks", {}, signal), { everyMs: 5_000 });
  const problem = useSignal<Problem | undefined>(undefined);
  const call = async (name: "retry" | "drop", what: object) => {
    problem.value = undefined;
    try {
      await post<NoticesChanged>(`/callbacks/${name}`, what);
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(0);
    }
    notices.reload();
  };
  return (
    <Card
      title={t("callbacks")}
      about={t("callbacksAbout")}
      actions={
        <button type="button" onClick={() => void call("retry", { all: true })}>
          {t("retryAll")}
        </button>
      }
    >
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <Show of={notices.state} reload={notices.reload}>
        {({ notices: all }) =>
          all.length === 0 ? (
            <Empty title={t("noCallbacks")} />
          ) : (
            <Scroll>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t("object")}</th>
                    <th scope="col">{t("state")}</th>
                    <th scope="col" class="number">
                      {t("attempts")}
                    </th>
                    <th scope="col">{t("reason")}</th>
                    <th scope="col">
                      <span class="visually-hidden">{t("changes")}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {all.map(({ id, fileid, bucket, state, attempts, since, reason, status }) => (
                    <tr key={id}>
                      <td class="long">
                        <span class="mono">{fileid}</span>
                        <br />
                        <span class="hint">
                          {bucket} · {ago(since)}
                        </span>
                      </td>
                      <td>
                        <Badge tone={state === "waiting" ? "warn" : "bad"}>
                          {t(state === "waiting" ? "isWaiting" : "isGivenUp")}
                        </Badge>
                      </td>
                      <td class="number">{count(attempts)}</td>
                      <td class="long">{[status, reason].filter(Boolean).join(" ")}</td>
                      <td class="row">
                        <button type="button" onClick={() => void call("retry", { ids: [id] })}>
                          {t("retry")}
                        </button>
                        <ConfirmButton
                          label={t("drop")}
                          question={t("dropQuestion")}
                          run={() => void call("drop", { ids: [id] })}
                        />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )
        }
      </Show>
    </Card>
  );
}
