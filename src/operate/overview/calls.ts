// Admin API calls of the console's first page: the live figures, and the overview with what needs an operator.
import type { Calls } from "../admin/calls.ts";
import { type OverviewAnswer, showOverview, watchLive } from "./contract.ts";
import type { Live } from "./live.ts";

export interface OverviewParts {
  readonly live: Live;
  readonly overview: () => Promise<OverviewAnswer>;
}

export function addOverviewCalls(calls: Calls, { live, overview }: OverviewParts): void {
  calls.add(showOverview, async (context) => context.json(await overview()));
  calls.add(watchLive, (context, { events }) =>
    context.body(live.open(events, context.get("isAllowed")), 200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      // nginx would collect the events otherwise.
      "X-Accel-Buffering": "no",
    }),
  );
}
