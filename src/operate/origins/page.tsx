// The origins: whether they answer, how much they are asked, how fast they are, and what failed.
import { useComputed, useSignal } from "@preact/signals";
import { get } from "../console/api.ts";
import { useLoaded } from "../console/load.ts";
import { Badge, Card, Empty, Page, Show, Table, type Tone } from "../console/parts/parts.tsx";
import { Plot, type Series } from "../console/parts/plot.tsx";
import { failureText } from "../console/text/failures.ts";
import { ago, count, duration, milliseconds, moment } from "../console/text/format.ts";
import { KEPT, moments, useLive } from "../overview/page/live-figures.tsx";
import { latencyAt, timeOf } from "../overview/page/rates.ts";
import type { OriginsAnswer } from "./contract.ts";
import { type TextName, t } from "./words.ts";

/** With more origins their plots are closed at first. */
const FEW = 4;

export function OriginsPage() {
  useLive();
  const origins = useLoaded((signal) => get<OriginsAnswer>("/origins", {}, signal), { everyMs: 2_000 });
  return (
    <Page title={t("origins")} about={t("originsAbout")}>
      <Show of={origins.state} reload={origins.reload}>
        {({ origins: all }) =>
          all.length === 0 ? (
            <Empty title={t("noOrigins")} hint={t("noOriginsHint")} />
          ) : (
            all.map((origin, index) => (
              <OriginCard key={`${origin.name} ${index}`} origin={origin} isOpen={all.length <= FEW} />
            ))
          )
        }
      </Show>
    </Page>
  );
}

type Origin = OriginsAnswer["origins"][number];

const CONDITIONS: Readonly<Record<Origin["condition"], readonly [Tone, TextName]>> = {
  unused: ["plain", "isUnused"],
  answers: ["good", "answers"],
  fails: ["bad", "onlyErrors"],
  paused: ["bad", "isPaused"],
};

/** One origin: breaker, budget, latency and last failures. */
function OriginCard({ origin, isOpen }: { readonly origin: Origin; readonly isOpen: boolean }) {
  const { name, condition, state, since, failures } = origin;
  const [tone, words] = CONDITIONS[condition];
  const isPlotted = useSignal(isOpen);
  return (
    <Card
      isStack
      title={name}
      actions={
        <>
          <Badge tone={tone}>{t(words)}</Badge>
          {state !== "closed" && (
            <span class="hint" title={moment(since)}>
              {t("sinceWhen", { when: ago(since) })}
            </span>
          )}
        </>
      }
    >
      <Budget origin={origin} />
      <details open={isOpen} onToggle={({ currentTarget }) => (isPlotted.value = currentTarget.open)}>
        <summary>{t("latencyPlot")}</summary>
        <p class="hint">{t("latencyPlotAbout")}</p>
        {/* A closed plot costs as much as an open one. */}
        {isPlotted.value && <LatencyPlot name={name} />}
      </details>
      <details open={isOpen}>
        <summary>
          {t("lastFailures")} ({count(failures.length)})
        </summary>
        <Failures failures={failures} />
      </details>
    </Card>
  );
}

function Budget({ origin }: { readonly origin: Origin }) {
  const { running, connections, waiting, requestsPerSecond, pausedMs, latency, requests, failed } = origin;
  return (
    <dl class="facts">
      <div>
        <dt>{t("budget")}</dt>
        <dd>{t("budgetOf", { running: count(running), most: count(connections) })}</dd>
        <dd>
          <meter
            aria-label={t("budget")}
            value={Math.min(running, connections)}
            max={Math.max(connections, 1)}
            high={connections * 0.9}
            optimum={0}
          />
        </dd>
        <dd class="hint">{t("budgetHint", { waiting: count(waiting) })}</dd>
      </div>
      <div>
        <dt>{t("rateLimit")}</dt>
        <dd>{requestsPerSecond === 0 ? t("noLimit") : t("perSecond", { value: count(requestsPerSecond) })}</dd>
        <dd class="hint">
          {t("pauseLeft")}: {pausedMs > 0 ? duration(pausedMs / 1_000) : t("none")}
        </dd>
      </div>
      <div>
        <dt>
          {t("latencyNow")} ({t("half")})
        </dt>
        <dd>{latency === undefined ? "–" : milliseconds(latency.p50)}</dd>
        <dd class="hint">
          {latency === undefined
            ? t("noneYet")
            : t("latencyHint", { nineOfTen: milliseconds(latency.p90), slowest: milliseconds(latency.max) })}
        </dd>
      </div>
      <div>
        <dt>{t("requests")}</dt>
        <dd>{count(requests)}</dd>
        <dd class="hint">{t("lastMinutes", { failed: count(failed) })}</dd>
      </div>
    </dl>
  );
}

/** Quantiles over the last minutes, from the live figures. */
function LatencyPlot({ name }: { readonly name: string }) {
  const times = useComputed(() => moments.value.map(timeOf));
  const series = useComputed((): Series[] => {
    const latencies = moments.value.map((_, index) => latencyAt(moments.value, index, name));
    return [
      { name: t("half"), color: "accent", values: latencies.map((latency) => latency?.p50 ?? null) },
      { name: t("nineOfTen"), color: "warn", values: latencies.map((latency) => latency?.p90 ?? null) },
    ];
  });
  return (
    <Plot
      label={`${t("latencyPlot")}: ${name}`}
      times={times.value}
      series={series.value}
      format={milliseconds}
      span={KEPT}
    />
  );
}

function Failures({ failures }: Pick<Origin, "failures">) {
  if (failures.length === 0) return <p class="hint">{t("noFailures")}</p>;
  return (
    <Table t={t} head={["time", "object", "reason", "status"]} numbers={["status"]} isSteady>
      {failures.map(({ time, key, code, status, text }, index) => (
        <tr key={`${time} ${index}`}>
          <td class="nowrap" title={moment(time)}>
            {ago(time)}
          </td>
          <td class="long mono">{key}</td>
          <td class="long">
            <div>{failureText(code, text)}</div>
            <span class="mono">{code}</span>
          </td>
          <td class="number">{status ?? "–"}</td>
        </tr>
      ))}
    </Table>
  );
}
