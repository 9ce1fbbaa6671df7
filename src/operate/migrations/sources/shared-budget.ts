// The budget of an origin that a running server requests too: each place is one of the server, which counts it as one
// of its own requests. So live traffic and migrations keep to the origin's limits together.
import type { Release } from "../../../async/semaphore.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { OriginParts } from "../../../serve/wiring/origins.ts";
import type { SendToAdmin } from "../target.ts";

type Budget = Parameters<NonNullable<OriginParts["shared"]>>[0];

/** `place`: names the budget to the server. enter() throws origin_busy and overloaded for the server's refusal too. */
export function shareBudget(
  budget: Budget,
  place: { readonly origin: string; readonly domain: string },
  send: SendToAdmin,
): Budget {
  async function takePlace(signal: AbortSignal, waitMs: number): Promise<Release> {
    const held = new AbortController();
    const answer = await send("/api/v1/origins/place", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...place, waitMs: Math.ceil(waitMs) }),
      signal: AbortSignal.any([signal, held.signal]),
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new HuiyuanError("overloaded", "the server does not answer any more", { cause });
    });
    if (answer.ok) return () => held.abort();
    const { message = `the server answered ${answer.status}` } = (await answer.json()) as { readonly message?: string };
    // The server has no such origin, for example because it has not read the new settings yet.
    if (answer.status === 404) return () => undefined;
    throw new HuiyuanError("overloaded", message);
  }

  return {
    ...budget,
    async enter(signal, waitMs) {
      const leave = await budget.enter(signal, waitMs);
      try {
        const release = await takePlace(signal, waitMs);
        return () => {
          release();
          leave();
        };
      } catch (error) {
        leave();
        throw error;
      }
    },
  };
}
