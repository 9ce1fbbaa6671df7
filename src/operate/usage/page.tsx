// Usage by day, as a plot and as a table.
import { useComputed } from "@preact/signals";
import { get } from "../console/api.ts";
import { useLoaded } from "../console/load.ts";
import { Card, Empty, Show } from "../console/parts/parts.tsx";
import { Plot } from "../console/parts/plot.tsx";
import { Table } from "../console/parts/table.tsx";
import { bytes, count } from "../console/text/format.ts";
import type { UsageAnswer } from "./contract.ts";
import { t } from "./words.ts";

interface Day {
  readonly day: string;
  readonly requests: number;
  readonly failures: number;
  readonly bytes: number;
  readonly objects: number | undefined;
  readonly stored: number | undefined;
}

const COLUMNS = ["requests", "failures", "bytesSent", "objects", "storedBytes"] as const;

export function Usage() {
  const usage = useLoaded((signal) => get<UsageAnswer>("/usage", {}, signal));
  const days = useComputed(() => byDay(usage.state.value.value?.days ?? []));
  return (
    <Card title={t("usage")} about={t("usageAbout")}>
      <Show of={usage.state} reload={usage.reload} lines={8}>
        {() => (days.value.length === 0 ? <Empty title={t("noUsage")} /> : <Days days={days.value} />)}
      </Show>
    </Card>
  );
}

function Days({ days }: { readonly days: readonly Day[] }) {
  const times = days.map(({ day }) => Date.parse(day) / 1_000);
  return (
    <div class="stack">
      <Plot
        label={t("bytesByDay")}
        isByDay
        times={times}
        format={bytes}
        series={[{ name: t("bytesSent"), color: "accent", values: days.map((day) => day.bytes) }]}
      />
      <Table t={t} head={["day", ...COLUMNS]} numbers={COLUMNS}>
        {days.toReversed().map((day) => (
          <tr key={day.day}>
            <th scope="row">{day.day}</th>
            <td class="number">{count(day.requests)}</td>
            <td class="number">{count(day.failures)}</td>
            <td class="number">{bytes(day.bytes)}</td>
            <td class="number">{day.objects === undefined ? "–" : count(day.objects)}</td>
            <td class="number">{day.stored === undefined ? "–" : bytes(day.stored)}</td>
          </tr>
        ))}
      </Table>
    </div>
  );
}

/** Sums of all buckets and operations, by ascending days. */
function byDay(days: UsageAnswer["days"]): readonly Day[] {
  const sums = new Map<string, Day>();
  for (const { day, operations, stored } of days) {
    const before = sums.get(day) ?? { day, requests: 0, failures: 0, bytes: 0, objects: undefined, stored: undefined };
    const used = Object.values(operations);
    const sum = (name: "requests" | "failures" | "bytes") => used.reduce((total, each) => total + each[name], 0);
    sums.set(day, {
      day,
      requests: before.requests + sum("requests"),
      failures: before.failures + sum("failures"),
      bytes: before.bytes + sum("bytes"),
      objects: stored === undefined ? before.objects : (before.objects ?? 0) + stored.objects,
      stored: stored === undefined ? before.stored : (before.stored ?? 0) + stored.bytes,
    });
  }
  return [...sums.values()].sort((a, b) => a.day.localeCompare(b.day));
}
