// The live part of the first page: rates of the last minutes from the totals of the server.
import { type ReadonlySignal, useComputed } from "@preact/signals";
import type { LiveFigures } from "../answers.ts";
import { increaseOf, KEPT, moments, requestsOf, timeOf } from "../live.ts";
import { Card, Figure } from "../parts/parts.tsx";
import { Plot, type Series } from "../parts/plot.tsx";
import { bytes, count, milliseconds, percent } from "../text/format.ts";
import { type TextName, t } from "../text/text.ts";

type Request = LiveFigures["requests"][number];
type Total = (figures: LiveFigures) => number;

/** Events of the figures and of the hit ratio; a single second says little. */
const RECENT = 10;
/** A longer gap between two events is a gap in the plot. */
const MOST_SECONDS = 5;

const isAny = () => true;
const isHit = ({ outcome }: Request) => outcome === "hit";
const isRatioed = ({ outcome }: Request) => outcome === "hit" || outcome === "miss";
const all: Total = (figures) => requestsOf(figures, isAny);
const hits: Total = (figures) => requestsOf(figures, isHit);
const ratioed: Total = (figures) => requestsOf(figures, isRatioed);
const errors: Total = (figures) => requestsOf(figures, ({ outcome }) => outcome === "error");
const sent: Total = ({ bytes: total }) => total;
const saved: Total = ({ savedBytes }) => savedBytes;

function increaseBefore(total: Total, list: readonly LiveFigures[], index: number, steps: number) {
  return increaseOf(total, list[Math.max(0, index - steps)], list[index], steps + MOST_SECONDS);
}

/** For each event the rate per second since the one before it. */
function ratesOf(total: Total, list: readonly LiveFigures[]): readonly (number | null)[] {
  return list.map((_, index) => {
    const increase = increaseBefore(total, list, index, 1);
    return increase === undefined ? null : increase.count / increase.seconds;
  });
}

/** Null if nothing was asked. */
function hitRatio(list: readonly LiveFigures[], index: number): number | null {
  const of = increaseBefore(ratioed, list, index, RECENT)?.count ?? 0;
  const hit = increaseBefore(hits, list, index, RECENT)?.count ?? 0;
  return of === 0 ? null : hit / of;
}

export function LiveFiguresRow() {
  const list = moments.value;
  const last = list.length - 1;
  const latest = list[last];
  const rate = (total: Total) => {
    const increase = increaseBefore(total, list, last, RECENT);
    return increase === undefined ? undefined : increase.count / increase.seconds;
  };
  const [requests, failed, savedRate] = [rate(all), rate(errors), rate(saved)];
  const ratio = hitRatio(list, last);
  return (
    <>
      <Figure
        name={t("requests")}
        value={requests === undefined ? undefined : perSecond(requests)}
        hint={latest && t("sinceStart", { value: count(all(latest)) })}
      />
      <Figure
        name={t("hitRatio")}
        value={ratio === null ? undefined : percent(ratio)}
        hint={latest && ratioed(latest) > 0 ? t("sinceStart", { value: percent(hits(latest) / ratioed(latest)) }) : ""}
      />
      <Figure
        name={t("savedBytes")}
        value={savedRate === undefined ? undefined : t("perSecond", { value: bytes(savedRate) })}
        hint={latest && t("sinceStart", { value: bytes(latest.savedBytes) })}
      />
      <Figure
        name={t("failures")}
        value={failed === undefined ? undefined : perSecond(failed)}
        hint={latest && t("sinceStart", { value: count(errors(latest)) })}
      />
    </>
  );
}

function perSecond(value: number): string {
  return t("perSecond", { value: count(Math.round(value * 10) / 10) });
}

/** The tiers as an operator thinks of them. */
const TIERS: readonly (readonly [TextName, Series["color"], (request: Request) => boolean])[] = [
  ["fromMemory", "good", ({ tier }) => tier === "memory"],
  ["fromStore", "accent", ({ tier }) => tier === "bucket"],
  ["fromRenderer", "soft", ({ tier }) => tier === "renderer"],
  ["fromOrigin", "warn", ({ tier }) => tier === "origin" || tier === "spool"],
  ["withoutBody", "bad", ({ tier }) => tier === "none"],
];

export function LivePlots() {
  const times = useComputed(() => moments.value.map(timeOf));
  const byTier = useComputed(() =>
    TIERS.map(([name, color, fits]) => ({
      ...{ name: t(name), color },
      values: ratesOf((figures) => requestsOf(figures, fits), moments.value),
    })),
  );
  const ratios = useComputed(() => [
    ...[
      { name: t("hitRatio"), color: "good" as const, values: moments.value.map((_, i) => hitRatio(moments.value, i)) },
    ],
  ]);
  const traffic = useComputed(() => [
    { name: t("bytesSent"), color: "accent" as const, values: ratesOf(sent, moments.value) },
    { name: t("savedBytes"), color: "good" as const, values: ratesOf(saved, moments.value) },
  ]);
  return (
    <>
      <PlotCard title="requestsByTier" times={times} series={byTier} format={perSecond} />
      <div class="halves">
        <PlotCard
          title="bytesPerSecond"
          times={times}
          series={traffic}
          format={(value) => t("perSecond", { value: bytes(value) })}
        />
        <PlotCard title="hitRatio" times={times} series={ratios} format={percent} most={1} />
      </div>
    </>
  );
}

interface PlotCardProps {
  readonly title: TextName;
  readonly times: ReadonlySignal<readonly number[]>;
  readonly series: ReadonlySignal<readonly Series[]>;
  readonly format: (value: number) => string;
  readonly most?: number;
}

function PlotCard({ title, times, series, format, most }: PlotCardProps) {
  return (
    <Card title={t(title)}>
      <Plot label={t(title)} times={times.value} series={series.value} format={format} most={most} span={KEPT} />
    </Card>
  );
}

export function LiveTables() {
  const latest = moments.value.at(-1);
  return (
    <>
      <Card title={t("errorsByCode")} about={t("errorsByCodeAbout")}>
        <Table
          head={["reason", "failures"]}
          rows={(latest?.errors ?? []).map((each) => [each.code, [count(each.count)]])}
        />
      </Card>
      <Card title={t("originLatency")} about={t("originLatencyAbout")}>
        <Table
          head={["origin", "half", "nineOfTen", "slowest"]}
          rows={(latest?.origins ?? []).map(({ name, latency }) => [
            name,
            [latency?.p50, latency?.p90, latency?.max].map((value) =>
              value === undefined ? "–" : milliseconds(value),
            ),
          ])}
        />
      </Card>
    </>
  );
}

interface TableProps {
  /** The first column's name is that of the rows. */
  readonly head: readonly TextName[];
  readonly rows: readonly (readonly [string, readonly string[]])[];
}

function Table({ head, rows }: TableProps) {
  if (rows.length === 0) return <p class="hint">{t("noneYet")}</p>;
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            {head.map((name, index) => (
              <th key={name} scope="col" class={index === 0 ? "" : "number"}>
                {t(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, values]) => (
            <tr key={name}>
              <td class="long mono">{name}</td>
              {values.map((value, index) => (
                <td key={head[index + 1]} class="number">
                  {value}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
