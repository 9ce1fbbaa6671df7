// The live part of the first page: the totals of the server, once a second, and rates of the last minutes. A lost
// connection is noticed.
import { type ReadonlySignal, signal, useComputed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../console/api.ts";
import { Card, Figure, Table } from "../../console/parts/parts.tsx";
import { Plot, type PlotProps, type Series } from "../../console/parts/plot.tsx";
import { failureText } from "../../console/text/failures.ts";
import { bytes, count, milliseconds, percent } from "../../console/text/format.ts";
import type { LiveFigures } from "../contract.ts";
import { type TextName, t } from "../words.ts";
import {
  allRequests,
  failures,
  hitRatioAt,
  hitRatioOf,
  RECENT,
  rateAt,
  requestsOf,
  type Total,
  timeOf,
} from "./rates.ts";

/** Answers behind a point of the plots of rates; single seconds hide the course. */
const SMOOTH = 4;
const sent: Total = ({ bytes: total }) => total;
const saved: Total = ({ savedBytes }) => savedBytes;
const perSecond = (value: number) => t("perSecond", { value: count(Math.round(value * 10) / 10) });
const bytesPerSecond = (value: number) => t("perSecond", { value: bytes(value) });

export function LiveFiguresRow() {
  const list = moments.value;
  const latest = list.at(-1);
  const figure = (name: TextName, total: Total, rateText: typeof perSecond, totalText: typeof count) => {
    const rate = rateAt(total, list, list.length - 1, RECENT);
    const hint = latest && t("sinceStart", { value: totalText(total(latest)) });
    return <Figure name={t(name)} value={rate === null ? undefined : rateText(rate)} hint={hint} />;
  };
  const recent = hitRatioAt(list, list.length - 1);
  const whole = latest === undefined ? null : hitRatioOf(latest);
  return (
    <>
      {figure("requests", allRequests, perSecond, count)}
      <Figure
        name={t("hitRatio")}
        value={recent === null ? undefined : percent(recent)}
        hint={whole === null ? "" : t("sinceStart", { value: percent(whole) })}
      />
      {figure("savedBytes", saved, bytesPerSecond, bytes)}
      {figure("failures", failures, perSecond, count)}
    </>
  );
}

/** The tiers as an operator thinks of them. */
const TIERS: readonly (readonly [TextName, Series["color"], (request: LiveFigures["requests"][number]) => boolean])[] =
  [
    ["fromMemory", "good", ({ tier }) => tier === "memory"],
    ["fromStore", "accent", ({ tier }) => tier === "bucket"],
    ["fromRenderer", "soft", ({ tier }) => tier === "renderer"],
    ["fromOrigin", "warn", ({ tier }) => tier === "origin" || tier === "spool"],
    ["withoutBody", "bad", ({ tier }) => tier === "none"],
  ];

export function LivePlots() {
  const times = useComputed(() => moments.value.map(timeOf));
  const ratesOf = (total: Total) => moments.value.map((_, index) => rateAt(total, moments.value, index, SMOOTH));
  const byTier = useComputed(() =>
    TIERS.map(([name, color, fits]) => ({
      ...{ name: t(name), color },
      values: ratesOf((figures) => requestsOf(figures, fits)),
    })),
  );
  const ratios = useComputed((): Series[] => {
    const values = moments.value.map((_, index) => hitRatioAt(moments.value, index));
    return [{ name: t("hitRatio"), color: "good", values }];
  });
  const traffic = useComputed((): Series[] => [
    { name: t("bytesSent"), color: "accent", values: ratesOf(sent) },
    { name: t("savedBytes"), color: "good", values: ratesOf(saved) },
  ]);
  return (
    <>
      <PlotCard title="requestsByTier" times={times} series={byTier} format={perSecond} />
      <div class="halves">
        <PlotCard title="bytesPerSecond" times={times} series={traffic} format={bytesPerSecond} />
        <PlotCard title="hitRatio" times={times} series={ratios} format={percent} most={1} />
      </div>
    </>
  );
}

interface PlotCardProps extends Pick<PlotProps, "format" | "most"> {
  readonly title: TextName;
  readonly times: ReadonlySignal<readonly number[]>;
  readonly series: ReadonlySignal<readonly Series[]>;
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
        <Rows
          head={["reason", "failures"]}
          rows={(latest?.errors ?? []).map((each) => [each.code, [count(each.count)], failureText(each.code)])}
        />
      </Card>
      <Card title={t("originLatency")} about={t("originLatencyAbout")}>
        <Rows
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

interface RowsProps {
  /** The first column's name is that of the rows, below its words if there are any. */
  readonly head: readonly TextName[];
  readonly rows: readonly (readonly [string, readonly string[], string?])[];
}

function Rows({ head, rows }: RowsProps) {
  if (rows.length === 0) return <p class="hint">{t("noneYet")}</p>;
  return (
    <Table t={t} head={head} numbers={head.slice(1)} isSteady>
      {rows.map(([name, values, words]) => (
        <tr key={name}>
          <td class="long">
            {words !== undefined && words !== name && <div>{words}</div>}
            <span class="mono">{name}</span>
          </td>
          {values.map((value, index) => (
            <td key={head[index + 1]} class="number">
              {value}
            </td>
          ))}
        </tr>
      ))}
    </Table>
  );
}

/** The last answers: five minutes. */
export const KEPT = 300;
const EVERY_MS = 1_000;
const SILENCE_MS = 5_000;

export const moments = signal<readonly LiveFigures[]>([]);
/** False: the figures on the page are old. */
export const isConnected = signal(false);

/** Asks for them while a page shows the figures. */
export function useLive(): void {
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(SILENCE_MS)]);
      const figures = await get<LiveFigures>("/live", {}, signal).catch(() => undefined);
      if (leaving.signal.aborted) return;
      isConnected.value = figures !== undefined;
      if (figures !== undefined) moments.value = [...moments.value.slice(1 - KEPT), figures];
      timer = setTimeout(() => void ask(), EVERY_MS);
    };
    void ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      isConnected.value = false;
    };
  }, []);
}
