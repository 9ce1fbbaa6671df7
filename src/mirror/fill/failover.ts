// Several origins as one: which is asked first, and which failure lets the next one be asked. Nothing is asked again once
// a head has come. An origin that is left alone is passed over at once; when it is, is decided by origin/breaker.ts.
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { parseHttpDate } from "../../core/http-date.ts";
import { type FailureKind, failureKind } from "../../origin/guard/failure-kind.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest, Validators } from "../../origin/origin.ts";

/** One place that may be asked. */
export interface Candidate {
  readonly origin: Origin;
  /**
   * Those above 0 share their places in the list: who of them is asked first is drawn by weight, and so are the next. 0:
   * asked in its own place. Standbys likewise among themselves.
   */
  readonly weight?: number;
  /** Asked only after every primary. */
  readonly isStandby?: boolean;
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
 * that did not answer may have it. NotModified also where a standby has something older than `unless` names. Throws
 * internal without a candidate.
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
    let isFirst = true;
    for (const { origin, isStandby } of [...drawOrder(primaries, random), ...drawOrder(standbys, random)]) {
      if (!isFirst) onFailover?.();
      isFirst = false;
      const { answer, failure } = await attempt(origin, request);
      if (answer !== undefined) return isStandby === true ? orNothingNewer(answer, request.unless) : answer;
      if (failure === undefined && !isAbsencePassed) break;
      last = failure ?? last;
    }
    if (last !== undefined) throw last;
    return undefined;
  }

  const [only] = candidates.length === 1 ? candidates : [];
  return {
    id: candidates.map(({ origin }) => origin.id).join(" "),
    fetch: only === undefined ? fetch : (request) => only.origin.fetch(request),
    refusal() {
      let last: HuiyuanError | undefined;
      for (const { origin } of candidates) {
        last = origin.refusal?.();
        if (last === undefined || !passes(last)) return last;
      }
      return last;
    },
    async preview(request) {
      const each = [...primaries, ...standbys].map(async ({ origin, weight = 0, isStandby = false }) => {
        const previews = (await origin.preview?.(request)) ?? [];
        return previews.map((preview) => ({ ...preview, weight, isStandby }));
      });
      return (await Promise.all(each)).flat();
    },
    async close() {},
  };
}

/** A standby may lag behind. What it dates before the stored version is as good as a 304, which some servers send for it. */
function orNothingNewer(
  answer: OriginAnswer | NotModified,
  unless: Validators | undefined,
): OriginAnswer | NotModified {
  if (answer.isNotModified || !isBefore(answer.lastModified, unless?.lastModified)) return answer;
  answer.body.destroy();
  const { life, headMs } = answer;
  return { isNotModified: true, etag: undefined, lastModified: undefined, life, headMs };
}

function isBefore(date: string | undefined, other: string | undefined): boolean {
  const [at, otherAt] = [date, other].map((text) => (text === undefined ? undefined : parseHttpDate(text)));
  return at !== undefined && otherAt !== undefined && at < otherAt;
}

/** As listed, the places of those with a weight filled by drawing one after the other. */
function drawOrder(candidates: readonly Candidate[], random: () => number): readonly Candidate[] {
  const left = candidates.filter(({ weight = 0 }) => weight > 0);
  if (left.length < 2) return candidates;
  return candidates.map((candidate) => ((candidate.weight ?? 0) > 0 ? (draw(left, random) ?? candidate) : candidate));
}

/** Takes one out. */
function draw(left: Candidate[], random: () => number): Candidate | undefined {
  let point = random() * left.reduce((sum, { weight = 0 }) => sum + weight, 0);
  const drawn = left.findIndex(({ weight = 0 }) => {
    point -= weight;
    return point < 0;
  });
  // -1 is the last one: rounding may leave the point at the very end.
  return left.splice(drawn, 1)[0];
}
