// Puts a breaker and a budget in front of an origin: requests are blocked while it fails or is overloaded, and its
// responses update both.
import { asHuiyuanError, errorKind, faultOf, HuiyuanError } from "../../../core/errors.ts";
import type { Origin, OriginRequest, PreviewRequest } from "../origin.ts";
import type { Breaker, BreakerState, Pass } from "./breaker.ts";
import type { Budget, BudgetRules } from "./budget.ts";
import {
  type Latency,
  latencyOf,
  MAX_FAILURES,
  type OriginFailure,
  type OriginRecord,
  type Outcomes,
} from "./record.ts";

export interface Guards {
  readonly breaker: Breaker;
  readonly budget: Budget;
  readonly record: OriginRecord;
  /** A client's request waits so long for its turn at the origin. Milliseconds. */
  readonly waitMs: number;
}

/** fetch() throws the origin's codes, origin_failing, origin_busy and overloaded. close() closes the origin. */
export function guardOrigin(origin: Origin, { breaker, budget, record, waitMs }: Guards): Origin {
  /** Returns the error for the client. Once the breaker is open, it is that of the blocked requests. */
  function recordFailure(error: HuiyuanError, pass: Pass, { key }: OriginRequest): HuiyuanError {
    const { originStatus = 0, retryAfterSeconds } = error;
    if ((originStatus === 429 || originStatus === 503) && retryAfterSeconds !== undefined)
      budget.pause(originStatus, retryAfterSeconds);
    // Neither a client that left, nor a limit of this server.
    if (isOfOrigin(error)) record.failed({ key, error });
    if (isFailure(error)) breaker.failed(pass, { key, error });
    else if (originStatus > 0 || hasAnswered(error)) breaker.answered(pass);
    else breaker.left(pass);
    const blocked = isFailure(error) ? breaker.refusal() : undefined;
    if (blocked === undefined) return error;
    const { code, message, retryAfterSeconds: seconds = 1 } = blocked;
    return new HuiyuanError(code, message, { cause: error, retryAfterSeconds: seconds });
  }

  function bodyEnded(failure: Error | undefined, { key }: OriginRequest, leave: () => void): void {
    leave();
    const error = failure && asHuiyuanError(failure);
    if (error === undefined) return;
    if (isOfOrigin(error)) record.bodyFailed({ key, error });
    if (failureKind(error) === "timeout") breaker.bodyFailed({ key, error });
  }

  const refusal = () => breaker.refusal() ?? budget.refusal();

  return {
    id: origin.id,
    async fetch(request) {
      const pass = breaker.enter();
      let leave = () => {};
      try {
        leave = await budget.enter(request.signal, waitMs);
      } catch (error) {
        breaker.left(pass);
        throw error;
      }
      request.onSend?.();
      const sentAt = performance.now();
      try {
        const answer = await origin.fetch(request);
        record.answered(performance.now() - sentAt);
        breaker.answered(pass);
        if (answer === undefined || answer.isNotModified) leave();
        else void answer.body.over.then((failure) => bodyEnded(failure, request, leave));
        return answer;
      } catch (caught) {
        leave();
        throw recordFailure(asHuiyuanError(caught), pass, request);
      }
    },
    refusal,
    ...(origin.preview && {
      async preview(request: PreviewRequest) {
        const refused = refusal();
        return ((await origin.preview?.(request)) ?? []).map((each) => ({ ...each, refusal: refused }));
      },
    }),
    close: () => origin.close(),
  };
}

/** The origin responded, although the response may not be used. */
function hasAnswered(error: HuiyuanError): boolean {
  const kind = errorKind(error);
  return kind === "answered" || kind === "broken";
}

const isOfOrigin = ({ code }: HuiyuanError) => faultOf(code) === "origin";

/** Failures that count against an origin: no response, or its own error (5xx). */
function isFailure(error: HuiyuanError): boolean {
  const kind = failureKind(error);
  return typeof kind === "string" || (kind ?? 0) >= 500;
}

/** The kind of an error of Origin.fetch, in the terms of `failoverOn`. A number is the origin's own status. */
export type FailureKind = "connect" | "timeout" | number;

/**
 * Undefined for errors that are neither the network nor a status: a response that may not be used, or an error of this
 * server.
 */
export function failureKind(error: HuiyuanError): FailureKind | undefined {
  if (error.code === "origin_status" || error.code === "origin_busy") return error.originStatus;
  const kind = errorKind(error);
  return kind === "connect" || kind === "timeout" ? kind : undefined;
}

/** One origin. Several origins of one name (another Host, other headers) are merged: the worst state, the sums. */
export interface OriginHealth {
  /** Its address, without credentials. */
  readonly name: string;
  readonly state: BreakerState;
  /** Milliseconds since the outage began, or since the breaker has been closed. */
  readonly stateMs: number;
  /** Requests whose body has not ended. */
  readonly running: number;
  /** The most running requests. */
  readonly connections: number;
  /** 0: unlimited. */
  readonly requestsPerSecond: number;
  /** Requests that wait for a connection or for the rate limit. */
  readonly waiting: number;
  /** Milliseconds left of the pause that it asked for. */
  readonly pausedMs: number;
}

/** OriginHealth, with the recent history of the origin. */
export interface OriginReport extends OriginHealth {
  /** `unused`: no request has ended yet. `paused`: it gets none, or one probe. `fails`: all recent ones failed. */
  readonly condition: "unused" | "answers" | "fails" | "paused";
  /** In the last five minutes: all that have ended, and those that failed. */
  readonly requests: number;
  readonly failed: number;
  /** Undefined: no response came in the last minutes. */
  readonly latency: Latency | undefined;
  readonly failures: readonly OriginFailure[];
}

const WORSE: readonly BreakerState[] = ["closed", "half-open", "open"];

/**
 * One row for each name of `rules`, in its order. A row is made when it is read. The rules are shown for an origin that
 * was never requested, which has no parts yet.
 */
export function* reportOf(
  rules: ReadonlyMap<string, BudgetRules>,
  budgets: readonly Budget[],
  breakers: readonly Breaker[],
  records: readonly OriginRecord[],
): Generator<OriginReport, void, undefined> {
  const [budgetsOf, breakersOf, recordsOf] = [byName(budgets), byName(breakers), byName(records)];
  for (const [name, unused] of rules) {
    const named = budgetsOf.get(name) ?? [];
    const bounds = named.length === 0 ? [unused] : named.map((each) => each.rules);
    const usages = named.map((each) => each.usage());
    const [worst] = (breakersOf.get(name) ?? []).toSorted((a, b) => WORSE.indexOf(b.state) - WORSE.indexOf(a.state));
    const rates = bounds.map(({ requestsPerSecond }) => requestsPerSecond);
    const own = recordsOf.get(name) ?? [];
    const outcomes = own.map((record) => record.outcomes());
    const failures = own.flatMap((record) => record.failures()).toSorted((a, b) => b.at - a.at);
    const health: OriginHealth = {
      name,
      state: worst?.state ?? "closed",
      stateMs: worst?.stateMs ?? 0,
      running: sum(usages.map(({ running }) => running)),
      connections: sum(bounds.map(({ connections }) => connections)),
      requestsPerSecond: rates.includes(0) ? 0 : sum(rates),
      waiting: sum(usages.map(({ waiting }) => waiting)),
      pausedMs: Math.max(0, ...usages.map(({ pausedMs }) => pausedMs)),
    };
    yield {
      ...health,
      condition: conditionOf(health, outcomes),
      requests: sum(outcomes.map(({ requests }) => requests)),
      failed: sum(outcomes.map(({ failed }) => failed)),
      latency: latencyOf(own.flatMap((record) => record.latencies())),
      failures: failures.slice(0, MAX_FAILURES),
    };
  }
}

function byName<Named extends { readonly name: string }>(all: readonly Named[]): ReadonlyMap<string, readonly Named[]> {
  const groups = new Map<string, Named[]>();
  for (const each of all) {
    const group = groups.get(each.name);
    if (group === undefined) groups.set(each.name, [each]);
    else group.push(each);
  }
  return groups;
}

function conditionOf({ state, pausedMs }: OriginHealth, outcomes: readonly Outcomes[]): OriginReport["condition"] {
  if (state !== "closed" || pausedMs > 0) return "paused";
  if (outcomes.some(({ isAnswering }) => isAnswering)) return "answers";
  return outcomes.some(({ isAnswering }) => isAnswering === false) ? "fails" : "unused";
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
