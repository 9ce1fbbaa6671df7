// Usage by day, as a plot and as a table.
import { useComputed } from "@preact/signals";
import { get } from "../console/api.ts";
import { useLoaded } from "../console/load.ts";
import { Card, Empty, Show, Table } from "../console/parts/parts.tsx";
import { Plot } from "../console/parts/plot.tsx";
import { bytes, count } from "../console/text/format.ts";
import type { UsageAnswer } from "./contract.ts";
import { t } from "./words.ts";

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

type Day = ReturnType<typeof byDay>[number];

/** Sums of all buckets and operations, by ascending days. */
function byDay(all: UsageAnswer["days"]) {
  const days = [...new Set(all.map(({ day }) => day))].sort();
  return days.map((day) => {
    const own = all.filter((each) => each.day === day);
    const used = own.flatMap(({ operations }) => Object.values(operations));
    const held = own.flatMap(({ stored }) => stored ?? []);
    return {
      day,
      ...{ requests: sumOf(used, "requests"), failures: sumOf(used, "failures"), bytes: sumOf(used, "bytes") },
      ...(held.length > 0 && { objects: sumOf(held, "objects"), stored: sumOf(held, "bytes") }),
    };
  });
}

function sumOf<Name extends string>(all: readonly Readonly<Record<Name, number>>[], name: Name): number {
  return all.reduce((sum, each) => sum + each[name], 0);
}
