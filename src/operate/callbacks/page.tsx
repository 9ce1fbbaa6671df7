// Callbacks that the receiver has not confirmed.

import { get, post } from "../console/api.ts";
import { useCall, useLoaded } from "../console/load.ts";
import { Badge, Button, Card, ConfirmButton, Empty, ProblemNote, Show, Table } from "../console/parts/parts.tsx";
import { ago, count } from "../console/text/format.ts";
import type { NoticePage, NoticesChanged } from "./contract.ts";
import { t } from "./words.ts";

export function Callbacks() {
  const notices = useLoaded((signal) => get<NoticePage>("/callbacks", {}, signal), { everyMs: 5_000 });
  const { problem, run } = useCall();
  const call = async (name: "retry" | "drop", what: object) => {
    await run(() => post<NoticesChanged>(`/callbacks/${name}`, what));
    notices.reload();
  };
  return (
    <Card
      title={t("callbacks")}
      about={t("callbacksAbout")}
      actions={<Button label={t("retryAll")} run={() => call("retry", { all: true })} />}
    >
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <Show of={notices.state} reload={notices.reload}>
        {({ notices: all }) =>
          all.length === 0 ? (
            <Empty title={t("noCallbacks")} />
          ) : (
            <Table t={t} head={["object", "state", "attempts", "reason", "changes"]} numbers={["attempts"]}>
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
                    <Button label={t("retry")} run={() => call("retry", { ids: [id] })} />
                    <ConfirmButton
                      label={t("drop")}
                      question={t("dropQuestion")}
                      run={() => void call("drop", { ids: [id] })}
                    />
                  </td>
                </tr>
              ))}
            </Table>
          )
        }
      </Show>
    </Card>
  );
}
