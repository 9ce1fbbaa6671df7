// Admin API calls for origins: their state, and a place at one for a migration of this machine.
import { HuiyuanError } from "../../core/errors.ts";
import type { OriginReport } from "../../serve/origin/guard/guarded.ts";
import type { Service } from "../../serve/wiring/service.ts";
import { type Calls, listAnswer } from "../admin/calls.ts";
import { listOrigins, takePlace } from "./contract.ts";

export interface OriginParts {
  readonly registry: Pick<Service["registry"], "originReport" | "originBudget">;
  /** Aborts when the server starts to shut down: all places end. */
  readonly stopping: AbortSignal;
}

export function addOriginCalls(calls: Calls, { registry, stopping }: OriginParts): void {
  calls.add(listOrigins, (context) =>
    listAnswer(context, "origins", registry.originReport(), (each) => originView(each, Date.now())),
  );
  calls.add(takePlace, async (context, { origin, domain, waitMs }) => {
    const budget = registry.originBudget(origin, domain);
    if (budget === undefined) throw new HuiyuanError("not_found", "Cannot take a place: there is no such origin");
    const over = AbortSignal.any([context.req.raw.signal, stopping]);
    return new Response(heldUntil(over, await budget.enter(over, waitMs)));
  });
}

/** A body whose only byte sends the head. It ends when `over` aborts. */
function heldUntil(over: AbortSignal, release: () => void): ReadableStream<Uint8Array> {
  let end = release;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array([0x0a]));
      end = () => {
        release();
        controller.close();
      };
      if (over.aborted) end();
      else over.addEventListener("abort", end);
    },
    cancel() {
      over.removeEventListener("abort", end);
      release();
    },
  });
}

function originView({ stateMs, failures, ...report }: OriginReport, now: number): object {
  const iso = (at: number) => new Date(at).toISOString();
  return {
    ...report,
    since: iso(now - stateMs),
    failures: failures.map(({ at, ...failure }) => ({ time: iso(at), ...failure })),
  };
}
