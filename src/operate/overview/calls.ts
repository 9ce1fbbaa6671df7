// Admin API calls of the console's first page: the live figures, and the overview with what needs an operator.

import type { Calls } from "../admin/calls.ts";
import { whole } from "../admin/input.ts";
import { liveFigures, type OverviewAnswer, overviewAnswer } from "../admin/openapi/console-answers.ts";
import type { Live } from "./live.ts";

export interface OverviewParts {
  readonly live: Live;
  readonly overview: () => Promise<OverviewAnswer>;
}

/** A page opens a stream again after its end, with a session or token that is still good. */
const EVENTS = 300;

/** `given` undefined: a command runs without a server. */
export function addOverviewCalls(calls: Calls, { live, overview }: OverviewParts): void {
  calls.get(
    "/overview",
    { summary: "The state of the server, and what needs attention", fields: {}, answer: { json: overviewAnswer } },
    async (context) => context.json(await overview()),
  );
  calls.get(
    "/live",
    {
      summary: "Live figures, one event a second",
      fields: { events: whole(1, EVENTS).default(EVENTS).describe("The stream ends after so many.") },
      answer: { event: liveFigures },
    },
    (context, { events }) =>
      context.body(live.open(events, context.get("isAllowed")), 200, {
        "Content-Type": "text/event-stream; charset=utf-8",
        // nginx would collect the events otherwise.
        "X-Accel-Buffering": "no",
      }),
  );
}
