// Writes docs/reference/metrics.md from the series that the program registers.
import { createMetrics } from "../../src/operate/admin/metrics.ts";
import { code, page, table } from "./markdown.ts";

const INTRO = `This page lists the series of \`/metrics\` on the admin port, in Prometheus' text format. [Monitoring](../operate/monitoring.md)
shows how to scrape them, and [Alerts](../operate/alerts.md) what to do when one is high.

- If \`server.adminToken\` is set, a scrape sends it: \`Authorization: Bearer <adminToken>\`.
- Counters begin at 0 with each start. A histogram has the series \`_bucket\`, \`_sum\` and \`_count\`.
- Error codes are those of [Errors](errors.md). The label \`origin\` is the origin's address without credentials.`;

export function metricsPage(): string {
  const metrics = createMetrics();
  metrics.stop();
  const rows = metrics.series
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map(({ name, type, help, labelNames }) => [code(name), labelNames.map(code).join(", "), type, help]);
  return page("Metrics", INTRO, table(["series", "labels", "type", "meaning"], rows));
}
