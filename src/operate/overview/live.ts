// The live figures of the console: totals since the start, and what runs now. A page asks for them once a second, and
// makes rates of the differences.
import type { MetricSources, Totals } from "../admin/metric-values.ts";
import type { LiveFigures } from "./contract.ts";

const TOP_ERRORS = 10;
const MAX_ORIGINS = 50;

export function liveFigures(
  { requests, errors, bytes, savedBytes }: Totals,
  sources: Pick<MetricSources, "origins" | "fills" | "renders" | "uploads" | "storing" | "memory">,
): LiveFigures {
  const { rss, heapUsed } = process.memoryUsage();
  const { running, waiting } = sources.renders();
  const cache = sources.memory();
  return {
    at: new Date().toISOString(),
    requests: [...requests],
    ...{ bytes, savedBytes },
    errors: [...errors]
      .sort(([, one], [, other]) => other - one)
      .slice(0, TOP_ERRORS)
      .map(([code, count]) => ({ code, count })),
    origins: firstOf(sources.origins(), MAX_ORIGINS).map(({ name, state, running, waiting, pausedMs, latency }) => ({
      ...{ name, state, running, waiting, pausedMs, latency },
    })),
    running: {
      ...{ fills: sources.fills(), renders: running, waitingRenders: waiting, uploads: sources.uploads() },
      waitingWrites: sources.storing().depth,
    },
    memory: { residentBytes: rss, heapBytes: heapUsed, cacheBytes: cache.bytes, cacheObjects: cache.objects },
  };
}

function firstOf<Item>(all: Iterable<Item>, most: number): Item[] {
  const first: Item[] = [];
  for (const item of all) if (first.push(item) === most) break;
  return first;
}
