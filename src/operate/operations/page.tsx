// The operation log (操作日志): who did what to which image.
import { useComputed } from "@preact/signals";
import type { BucketsAnswer } from "../admin/contract/contract.ts";
import { get, urlOf } from "../console/api.ts";
import { useLoaded } from "../console/load.ts";
import { InputField, type Option, Select } from "../console/parts/fields.tsx";
import { Badge, Card, Empty, Show, Table } from "../console/parts/parts.tsx";
import { query, setQuery } from "../console/router.tsx";
import { bytes, moment } from "../console/text/format.ts";
import type { LogPage } from "./contract.ts";
import { type TextName, t } from "./words.ts";

/** In the order of the filter. */
const OPERATIONS: Readonly<Record<string, TextName>> = {
  ...{ upload: "opUpload", copy: "opCopy", query: "opQuery", delete: "opDelete", undelete: "opUndelete" },
  ...{ purge: "opPurge", login: "opLogin", logout: "opLogout", change: "opChange" },
};
const SHOWN = 200;

export function Operations() {
  const filter = useComputed(() => {
    const of = (name: string) => query.value.get(name) ?? undefined;
    return { bucket: of("bucket"), operation: of("operation"), fileid: of("fileid"), from: of("from"), to: of("to") };
  });
  const buckets = useLoaded((signal) => get<BucketsAnswer>("/buckets", {}, signal));
  const log = useLoaded((signal) => get<LogPage>("/log", { ...filter.value, latest: SHOWN }, signal), {
    everyMs: 5_000,
  });
  return (
    <Card
      isStack
      title={t("operations")}
      about={t("operationsAbout", { count: SHOWN })}
      actions={
        <a class="button" href={urlOf("/log.csv", filter.value)} download>
          CSV
        </a>
      }
    >
      <form class="controls" onSubmit={(event) => event.preventDefault()}>
        <Choice name="operation" options={Object.entries(OPERATIONS).map(([name, words]) => [name, t(words)])} />
        <Choice
          name="bucket"
          options={(buckets.state.value.value?.buckets ?? []).map(({ bucket }) => [bucket, bucket])}
        />
        <InputField
          label={t("key")}
          type="search"
          value={filter.value.fileid ?? ""}
          typing={(fileid) => setQuery({ fileid })}
        />
        {(["from", "to"] as const).map((name) => (
          <InputField
            key={name}
            label={t(name)}
            type="date"
            value={filter.value[name] ?? ""}
            set={(day) => setQuery({ [name]: day })}
          />
        ))}
      </form>
      <Show of={log.state} reload={log.reload} lines={10}>
        {({ entries }) =>
          entries.length === 0 ? <Empty title={t("noOperations")} /> : <Entries entries={entries.toReversed()} />
        }
      </Show>
    </Card>
  );
}

interface ChoiceProps {
  /** The parameter of the page's address, and the name of the control. */
  readonly name: "operation" | "bucket";
  readonly options: readonly Option[];
}

function Choice({ name, options }: ChoiceProps) {
  return (
    <Select
      label={t(name)}
      options={[["", t("all")], ...options]}
      value={query.value.get(name) ?? ""}
      set={(value) => setQuery({ [name]: value })}
    />
  );
}

function Entries({ entries }: { readonly entries: LogPage["entries"] }) {
  return (
    <Table t={t} head={["time", "operation", "object", "result", "client", "size"]} numbers={["size"]}>
      {entries.map(({ id, time, operation, fileid, url, bucket, code, message, client, bytes: size, requestId }) => (
        <tr key={id}>
          <td class="nowrap">{moment(time)}</td>
          <td title={operation}>{t(OPERATIONS[operation] ?? "operation")}</td>
          <td class="long">
            <span class="mono">{fileid === "" ? url : fileid}</span>
            <br />
            <span class="hint">{bucket}</span>
          </td>
          <td class="long">
            <Badge tone={code === 0 ? "good" : "bad"}>{code === 0 ? t("isDone") : code}</Badge>
            {message !== "SUCCESS" && <div class="hint">{message}</div>}
            <div class="hint mono">{requestId}</div>
          </td>
          <td>{client}</td>
          <td class="number">{size > 0 ? bytes(size) : "–"}</td>
        </tr>
      ))}
    </Table>
  );
}
