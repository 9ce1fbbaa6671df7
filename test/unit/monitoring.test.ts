// The files of config/monitoring fit each other, the program's metrics and docs/operate/alerts.md.
// test/e2e/monitoring.lab.test.ts runs them.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createMetrics } from "../../src/operate/admin/metrics.ts";
import { alertRules, alertTests, dashboard, dashboardQueries } from "../helpers/monitoring.ts";

const PAGE = readFileSync(new URL("../../docs/operate/alerts.md", import.meta.url), "utf8");

test("every alert has a severity, a summary, and a heading in docs/operate/alerts.md, in this order", () => {
  const rules = alertRules();
  expect(rules.length).toBeGreaterThan(15);
  for (const { alert, labels, annotations } of rules) {
    expect(["critical", "warning", "info"]).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\$labels\.instance/);
    expect(annotations.runbook).toBe(`docs/operate/alerts.md#${alert.toLowerCase()}`);
  }
  const headings = [...PAGE.matchAll(/^### (Huiyuan\w+)$/gm)].map(([, name]) => name);
  expect(headings).toEqual(rules.map(({ alert }) => alert));
});

/** The time that a rule waits, and that its expression must have held before. */
function firesAfter({ expr, for: held = "0m" }: ReturnType<typeof alertRules>[number]): string {
  const minutesOf = (text: string) => Number.parseInt(text, 10) * (text.endsWith("h") ? 60 : 1);
  const before = /^min_over_time\(\w+\[(\w+)\]/.exec(expr)?.[1] ?? "0m";
  const ageSeconds = Number(/_age_seconds > (\d+)/.exec(expr)?.[1] ?? 0);
  const minutes = minutesOf(held) + minutesOf(before) + ageSeconds / 60;
  return minutes === 0 ? "at once" : `${minutes} min`;
}

test("the page names the severity of every alert in its table, and the minutes until it fires", () => {
  const rows = [...PAGE.matchAll(/^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| ([\w ]+) \|/gm)].map(([, ...cells]) => cells);
  expect(rows).toEqual(
    alertRules().map((rule) => [rule.alert, rule.alert.toLowerCase(), rule.labels.severity, firesAfter(rule)]),
  );
});

test("alerts.test.yaml fires every alert, and begins with a healthy server that fires none", () => {
  const [healthy, ...faults] = alertTests();
  expect(healthy?.name).toBe("a healthy server");
  expect(healthy?.promql_expr_test.flatMap(({ exp_samples }) => exp_samples)).toEqual([]);
  const samples = faults.flatMap(({ promql_expr_test }) => promql_expr_test.flatMap(({ exp_samples }) => exp_samples));
  const fired = samples.flatMap(({ labels }) => /alertname="(\w+)", alertstate="firing"/.exec(labels)?.[1] ?? []);
  expect(new Set(fired)).toEqual(new Set(alertRules().map(({ alert }) => alert)));
});

test("the dashboard can be imported: one data source to choose, panels with queries that do not overlap", () => {
  const { templating, panels } = dashboard();
  expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
    ["datasource", "datasource"],
    ["instance", "query"],
  ]);
  const source = { type: "prometheus", uid: `\${datasource}` };
  const places = new Set<string>();
  for (const { type, title, datasource, gridPos, targets = [] } of panels) {
    expect(["row", "stat", "timeseries"], title).toContain(type);
    expect(targets.length > 0, title).toBe(type !== "row");
    expect([...(type === "row" ? [] : [datasource]), ...targets.map((target) => target.datasource)], title).toEqual(
      Array(targets.length + (type === "row" ? 0 : 1)).fill(source),
    );
    const { x, y, w, h } = gridPos;
    expect(x + w, title).toBeLessThanOrEqual(24);
    for (let column = x; column < x + w; column += 1) {
      for (let line = y; line < y + h; line += 1) {
        expect(places.has(`${column} ${line}`), title).toBe(false);
        places.add(`${column} ${line}`);
      }
    }
  }
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
});

/** Series → its labels, also those that Prometheus adds. */
function labelsBySeries(): ReadonlyMap<string, readonly string[]> {
  const metrics = createMetrics();
  metrics.stop();
  return new Map(
    metrics.series.flatMap(({ name, type, labelNames }): readonly (readonly [string, readonly string[]])[] => {
      const labels = ["job", "instance", ...labelNames];
      if (type !== "histogram") return [[name, labels]];
      return [
        [`${name}_bucket`, [...labels, "le"]],
        [`${name}_count`, labels],
      ];
    }),
  );
}

test("every series of the alerts and the dashboard exists with the labels that are used", () => {
  const known = labelsBySeries();
  const queries = [...alertRules().map(({ expr }) => expr), ...dashboardQueries()];
  const unknown = queries.flatMap((query) => {
    const used = [...query.matchAll(/\b(huiyuan_\w+)(?:\{([^}]*)\})?/g)];
    const wrong = used.flatMap(([, name = "", selector = ""]) => {
      const labels = [...selector.matchAll(/(\w+)(?:=|!=|=~|!~)"/g)].map(([, label = ""]) => label);
      return known.has(name) ? labels.filter((label) => !known.get(name)?.includes(label)) : [name];
    });
    const grouped = [...query.matchAll(/\b(?:by|on) \(([^)]+)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/));
    const labels = used.flatMap(([, name = ""]) => known.get(name) ?? []);
    return [...wrong, ...grouped.filter((label) => !labels.includes(label))].map((what) => `${what} in ${query}`);
  });
  expect(unknown).toEqual([]);
  expect(queries.length).toBeGreaterThan(50);
});
