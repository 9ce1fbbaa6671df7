// Admin API calls of the console's first page: the live figures, and the overview with what needs an operator.
import type { Calls } from "../admin/calls.ts";
import { type LiveFigures, type OverviewAnswer, showLive, showOverview } from "./contract.ts";

export interface OverviewParts {
  readonly live: () => LiveFigures;
  readonly overview: () => Promise<OverviewAnswer>;
}

export function addOverviewCalls(calls: Calls, { live, overview }: OverviewParts): void {
  calls.add(showOverview, async (context) => context.json(await overview()));
  calls.add(showLive, (context) => context.json(live()));
}
