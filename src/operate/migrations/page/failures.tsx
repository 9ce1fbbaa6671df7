// The failures of a migration, by cause and one by one.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Show } from "../../console/parts/parts.tsx";
import { Table } from "../../console/parts/table.tsx";
import { count } from "../../console/text/format.ts";
import type { MigrationFailures } from "../contract.ts";
import { causeText, t } from "../words.ts";

const LISTED = 50;

export function Failures({ id, failed }: { readonly id: string; readonly failed: number }) {
  // They are loaded again when there are more, or fewer after a retry.
  const shown = useSignal(failed);
  useEffect(() => {
    shown.value = failed;
  }, [failed]);
  const failures = useLoaded((signal) => {
    void shown.value;
    return get<MigrationFailures>("/migrations/failures", { id, limit: LISTED }, signal);
  });
  return (
    <Show of={failures.state} reload={failures.reload}>
      {({ failures: all, causes, next }) => (
        <div class="stack">
          <h3>{t("failuresByCause")}</h3>
          <Table t={t} head={["reason", "failures", "example"]} numbers={["failures"]}>
            {causes.map(({ cause, count: many, example }) => (
              <tr key={cause}>
                <td>
                  {causeText(cause)} <span class="hint mono nowrap">{cause}</span>
                </td>
                <td class="number">{count(many)}</td>
                <td class="long">{example}</td>
              </tr>
            ))}
          </Table>
          <details>
            <summary>{t("eachFailure")}</summary>
            <Table t={t} head={["object", "reason"]}>
              {all.map(({ serial, fileid, log }) => (
                <tr key={serial}>
                  <td class="long mono">{fileid}</td>
                  <td class="long">{log}</td>
                </tr>
              ))}
            </Table>
            {next !== undefined && <p class="hint">{t("moreFailures")}</p>}
          </details>
        </div>
      )}
    </Show>
  );
}
