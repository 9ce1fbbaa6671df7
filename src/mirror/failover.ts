// Several origins as one: which is asked first, and which failure lets the next one be asked. Nothing is asked again once
// a head has come. An origin that is left alone is passed over at once; when it is, is decided by origin/breaker.ts.
import { asHuiyuanError, HuiyuanError } from "../errors.ts";
import { type FailureKind, failureKind } from "../origin/failure-kind.ts";
import type { Origin, OriginRequest } from "../origin/origin.ts";

/** One place that may be asked. */
export interface Candidate {
  readonly origin: Origin;
  /**
   * Above 0. Where any primary has one, the first to be asked is drawn by weight (1 where none is given) and so are the
   * next; else they are asked as listed. Standbys likewise among themselves.
   */
  readonly weight?: number | undefined;
  /** Asked only after every primary. */
  readonly isStandby?: boolean | undefined;
}

/** Settings `failoverOn`: a status, a class of statuses, or a failure without one. 404 stands for 410 too. */
export type FailoverCause = number | "4xx" | "5xx" | "timeout" | "connect";

export interface FailoverOptions {
  readonly candidates: readonly Candidate[];
  readonly failoverOn: readonly FailoverCause[];
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Called each time that a further origin is asked. */
  readonly onFailover?: () => void;
}

/** Whether a failure of this kind lets the next origin be asked. */
export function failsOver(kind: FailureKind | undefined, causes: readonly FailoverCause[]): boolean {
  if (kind === undefined) return false;
  if (typeof kind === "string") return causes.includes(kind);
  return causes.some((cause) => (typeof cause === "number" ? cause === kind : cause === `${Math.floor(kind / 100)}xx`));
}

/**
 * The candidates seen as one origin, whose owner closes them. fetch() gives what the first of them gives whose failure
 * does not fail over, else the last failure. Undefined: those that answered have no such object, and none had failed: one
 * that did not answer may have it. Throws internal without a candidate.
 */
export function createFailover({ candidates, failoverOn, random, onFailover }: FailoverOptions): Origin {
  if (candidates.length === 0) throw new HuiyuanError("internal", "Cannot make a mirror: it has no origin");
  const primaries = candidates.filter(({ isStandby }) => isStandby !== true);
  const standbys = candidates.filter(({ isStandby }) => isStandby === true);
  const isAbsencePassed = failsOver(404, failoverOn);
  const passes = (error: HuiyuanError) => error.code === "origin_failing" || failsOver(failureKind(error), failoverOn);

  /** Gives the failure that lets the next origin be asked, and throws any other. */
  async function attempt(origin: Origin, request: OriginRequest) {
    try {
      return { answer: await origin.fetch(request) };
    } catch (error) {
      const failure = asHuiyuanError(error);
      if (request.signal.aborted || !passes(failure)) throw failure;
      return { failure };
    }
  }

  async function fetch(request: OriginRequest): ReturnType<Origin["fetch"]> {
    let last: HuiyuanError | undefined;
    const order = [...drawOrder(primaries, random), ...drawOrder(standbys, random)];
    for (const [index, { origin }] of order.entries()) {
      if (index > 0) onFailover?.();
      const { answer, failure } = await attempt(origin, request);
      if (answer !== undefined) return answer;
      if (failure === undefined && !isAbsencePassed) break;
      last = failure ?? last;
    }
    if (last !== undefined) throw last;
    return undefined;
  }

  return {
    id: candidates.map(({ origin }) => origin.id).join(" "),
    fetch,
    refusal() {
      let last: HuiyuanError | undefined;
      for (const { origin } of candidates) {
        last = origin.refusal?.();
        if (last === undefined || !passes(last)) return last;
      }
      return last;
    },
    async close() {},
  };
}

/** As listed where none has a weight, else drawn one after the other. */
function drawOrder(candidates: readonly Candidate[], random: () => number): readonly Candidate[] {
  if (candidates.every(({ weight }) => weight === undefined)) return candidates;
  const left = [...candidates];
  const order: Candidate[] = [];
  while (left.length > 0) order.push(...left.splice(draw(left, random), 1));
  return order;
}

function draw(candidates: readonly Candidate[], random: () => number): number {
  const weights = candidates.map(({ weight = 1 }) => weight);
  let point = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.findIndex((weight) => {
    point -= weight;
    return point < 0;
  });
  // Rounding may leave the point at the very end.
  return drawn === -1 ? weights.length - 1 : drawn;
}
