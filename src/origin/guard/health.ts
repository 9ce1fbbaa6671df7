// The health of each origin, for metrics, the admin API and the console. It reads breakers and budgets and changes
// nothing.
import type { Breaker, BreakerState } from "./breaker.ts";
import type { Budget } from "./budget.ts";

/** One origin. Several origins of one name (another Host, other headers) are merged: the worst state, the sums. */
export interface OriginHealth {
  /** Its address, without credentials. */
  readonly name: string;
  readonly state: BreakerState;
  /** Requests whose body has not ended. */
  readonly running: number;
  /** Requests that wait for a connection or for the rate limit. */
  readonly waiting: number;
  /** Milliseconds left of the pause that it asked for. */
  readonly pausedMs: number;
}

/** A breaker or budget with the name of its origin. */
export interface Named<Value> {
  readonly name: string;
  readonly value: Value;
}

const WORSE: readonly BreakerState[] = ["closed", "half-open", "open"];

/** One row for each name, in the order of `budgets`. */
export function healthOf(
  budgets: readonly Named<Pick<Budget, "usage">>[],
  breakers: readonly Named<Pick<Breaker, "state">>[],
): OriginHealth[] {
  return [...new Set(budgets.map(({ name }) => name))].map((name) => {
    const usages = budgets.filter((each) => each.name === name).map(({ value }) => value.usage());
    const states = breakers.filter((each) => each.name === name).map(({ value }) => WORSE.indexOf(value.state));
    return {
      name,
      state: WORSE[Math.max(0, ...states)] ?? "closed",
      running: usages.reduce((sum, { running }) => sum + running, 0),
      waiting: usages.reduce((sum, { waiting }) => sum + waiting, 0),
      pausedMs: Math.max(...usages.map(({ pausedMs }) => pausedMs)),
    };
  });
}
