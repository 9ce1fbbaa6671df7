// The operation log (操作日志): who did what to which image.
import { useComputed } from "@preact/signals";
import type { LogPage } from "../answers.ts";
import { get, urlOf } from "../api.ts";
import { useLoaded } from "../load.ts";
import { Badge, Card, Empty, Field, Scroll, Show } from "../parts/parts.tsx";
import { query, setQuery } from "../router.tsx";
import { bytes, moment } from "../text/format.ts";
import { t } from "../text/text.ts";

const OPERATIONS = ["upload", "copy", "query", "delete", "undelete", "purge"] as const;
const SHOWN = 200;

export function Operations() {
  const filter = useComputed(() => {
    const of = (name: string) => query.value.get(name) ?? undefined;
    return { operation: of("operation"), fileid: of("fileid"), from: of("from"), to: of("to") };
  });
  const log = useLoaded((signal) => get<LogPage>("/log", { ...filter.value, latest: SHOWN }, signal), {
    everyMs: 5_000,
  });
  return (
    <Card
      title={t("operations")}
      about={t("operationsAbout", { count: SHOWN })}
      actions={
        <a class="button" href={urlOf("/log.csv", filter.value)} download>
          CSV
        </a>
      }
    >
      <div class="stack">
        <form class="controls" onSubmit={(event) => event.preventDefault()}>
          <Field
            label={t("operation")}
            control={(properties) => (
              <select
                {...properties}
                value={filter.value.operation ?? ""}
                onChange={({ currentTarget }) => setQuery({ operation: currentTarget.value })}
              >
                <option value="">{t("all")}</option>
                {OPERATIONS.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          />
          <Field
            label="fileid"
            control={(properties) => (
              <input
                {...properties}
                type="search"
                value={filter.value.fileid ?? ""}
                onChange={({ currentTarget }) => setQuery({ fileid: currentTarget.value })}
              />
            )}
          />
          {(["from", "to"] as const).map((name) => (
            <Field
              key={name}
              label={t(name)}
              control={(properties) => (
                <input
                  {...properties}
                  type="date"
                  value={filter.value[name] ?? ""}
                  onChange={({ currentTarget }) => setQuery({ [name]: currentTarget.value })}
                />
              )}
            />
          ))}
        </form>
        <Show of={log.state} reload={log.reload} lines={10}>
          {({ entries }) =>
            entries.length === 0 ? <Empty title={t("noOperations")} /> : <Entries entries={entries.toReversed()} />
          }
        </Show>
      </div>
    </Card>
  );
}

function Entries({ entries }: { readonly entries: LogPage["entries"] }) {
  return (
    <Scroll>
      <table>
        <thead>
          <tr>
            {(["time", "operation", "object", "result", "client"] as const).map((name) => (
              <th key={name} scope="col">
                {t(name)}
              </th>
            ))}
            <th scope="col" class="number">
              {t("size")}
            </th>
          </tr>
        </thead>
        <tbody>
          {entries.map(({ id, time, operation, fileid, bucket, code, message, client, bytes: size, requestId }) => (
            <tr key={id}>
              <td class="nowrap">{moment(time)}</td>
              <td>{operation}</td>
              <td class="long">
                <span class="mono">{fileid}</span>
                <br />
                <span class="hint">{bucket}</span>
              </td>
              <td class="long">
                <Badge tone={code === 0 ? "good" : "bad"}>{code === 0 ? t("isDone") : code}</Badge>
                {code !== 0 && <div class="hint">{message}</div>}
                <div class="hint mono">{requestId}</div>
              </td>
              <td>{client}</td>
              <td class="number">{size > 0 ? bytes(size) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
