// Admin API calls for origins: their state, and a test of one that is not configured yet.
import type { OriginReport } from "../../origin/guard/guarded.ts";
import type { Calls } from "./calls.ts";
import { originsAnswer } from "./openapi/origin-answers.ts";

export interface OriginParts {
  readonly registry: { originReport(): readonly OriginReport[] };
  /** Unix milliseconds. */
  readonly now: () => number;
}

export function addOriginCalls(calls: Calls, { registry, now }: OriginParts): void {
  calls.get(
    "/origins",
    { summary: "State of each origin, its latency and its last failures", fields: {}, answer: { json: originsAnswer } },
    (context) => context.json({ origins: registry.originReport().map((each) => originView(each, now())) }),
  );
}

function originView({ stateMs, failures, ...report }: OriginReport, now: number): object {
  const iso = (at: number) => new Date(at).toISOString();
  return {
    ...report,
    since: iso(now - stateMs),
    failures: failures.map(({ at, ...failure }) => ({ time: iso(at), ...failure })),
  };
}
