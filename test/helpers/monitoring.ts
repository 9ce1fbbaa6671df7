// Reads config/monitoring: the alert rules, their tests, and the queries of the dashboard.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse as parseYaml } from "yaml";

/** The folder, with a slash at its end. */
export const MONITORING = fileURLToPath(new URL("../../config/monitoring/", import.meta.url));

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface AlertTest {
  readonly name: string;
  readonly promql_expr_test: readonly {
    readonly exp_samples: readonly { readonly labels: string }[];
  }[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: unknown;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: unknown }[];
}

export interface Dashboard {
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

const textOf = (file: string) => readFileSync(MONITORING + file, "utf8");

export function alertRules(): readonly AlertRule[] {
  const { groups } = parseYaml(textOf("alerts.yaml")) as { groups: readonly { rules: readonly AlertRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export function alertTests(): readonly AlertTest[] {
  return (parseYaml(textOf("alerts.test.yaml")) as { tests: readonly AlertTest[] }).tests;
}

export function dashboard(): Dashboard {
  return JSON.parse(textOf("dashboard.json")) as Dashboard;
}

/** The queries of all panels, with Grafana's variables replaced as Grafana does for "All". */
export function dashboardQueries(): readonly string[] {
  return dashboard().panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr.replaceAll("$instance", ".+").replaceAll("$__rate_interval", "1m")),
  );
}
