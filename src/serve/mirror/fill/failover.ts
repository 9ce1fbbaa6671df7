// Several origins as one: the order in which they are tried, and the failures after which the next one is tried. Once a
// head has arrived there is no further attempt. An origin whose breaker is open is skipped; origin/guard decides that.
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import { parseHttpDate } from "../../../core/http-date.ts";
import { type FailureKind, failureKind } from "../../origin/guard/guarded.ts";
import type { NotModified, Origin, OriginAnswer, OriginRequest, Validators } from "../../origin/origin.ts";

/** One origin of the list. */
export interface Candidate {
  readonly origin: Origin;
  /**
   * Above 0: these origins share their places in the list, and their order is drawn by weight for each request. 0: the
   * origin keeps its own place. The same applies to standbys among themselves.
   */
  readonly weight?: number;
  /** Tried only after every primary. */
  readonly isStandby?: boolean;
}

/** Setting `failoverOn`: a status, a class of statuses, or a failure without a status. 404 includes 410. */
export type FailoverCause = number | "4xx" | "5xx" | "timeout" | "connect";

export interface FailoverOptions {
  readonly candidates: readonly Candidate[];
  readonly failoverOn: readonly FailoverCause[];
  /** From 0 to below 1. */
  readonly random: () => number;
  /** True: errors carry the origin's status for the client, see transparentStatus(). */
  readonly isTransparent?: boolean;
  /** Called each time a further origin is tried. */
  readonly onFailover?: () => void;
}

/** Whether the next origin is tried after a failure of this kind. */
export function failsOver(kind: FailureKind | undefined, causes: readonly FailoverCause[]): boolean {
  if (kind === undefined) return false;
  if (typeof kind === "string") return causes.includes(kind);
  return causes.some((cause) => (typeof cause === "number" ? cause === kind : cause === `${Math.floor(kind / 100)}xx`));
}

/**
 * The candidates as one origin; their owner closes them. fetch() returns the first answer, or throws the first failure
 * that does not fail over, else the last one. Undefined: all origins that were tried lack the object. If one of them
 * failed, its error is thrown instead, since it may have the object. NotModified also if a standby's version is older
 * than `unless`. Throws internal without a candidate.
 */
export function createFailover(options: FailoverOptions): Origin {
  const { candidates, failoverOn, random, isTransparent = false, onFailover } = options;
  if (candidates.length === 0) throw new HuiyuanError("internal", "Cannot make a mirror: it has no origin");
  const primaries = candidates.filter(({ isStandby }) => isStandby !== true);
  const standbys = candidates.filter(({ isStandby }) => isStandby === true);
  const failsOverOnAbsence = failsOver(404, failoverOn);
  const shown = (error: HuiyuanError) => (isTransparent ? transparent(error) : error);
  const isRetryable = (error: HuiyuanError) =>
    error.code === "origin_failing" || failsOver(failureKind(error), failoverOn);

  const inOrder = [...primaries, ...standbys];
  const isDrawn = [primaries, standbys].some((group) => group.filter(isWeighted).length > 1);

  /** Returns a failure after which the next origin is tried, and throws any other. */
  async function attempt(origin: Origin, request: OriginRequest) {
    try {
      return { answer: await origin.fetch(request) };
    } catch (error) {
      const failure = asHuiyuanError(error);
      if (request.signal.aborted || !isRetryable(failure)) throw shown(failure);
      return { failure };
    }
  }

  async function fetch(request: OriginRequest): ReturnType<Origin["fetch"]> {
    const order = isDrawn ? [...drawOrder(primaries, random), ...drawOrder(standbys, random)] : inOrder;
    let last: HuiyuanError | undefined;
    let isFirst = true;
    for (const candidate of order) {
      if (!isFirst) onFailover?.();
      isFirst = false;
      const { answer, failure } = await attempt(candidate.origin, request);
      if (answer !== undefined) return orNothingNewer(answer, candidate, request.unless);
      if (failure === undefined && !failsOverOnAbsence) break;
      last = failure ?? last;
    }
    if (last !== undefined) throw shown(last);
    return undefined;
  }

  return {
    id: candidates.map(({ origin }) => origin.id).join(" "),
    fetch,
    refusal() {
      let last: HuiyuanError | undefined;
      for (const { origin } of candidates) {
        last = origin.refusal?.();
        if (last === undefined || !isRetryable(last)) break;
      }
      return last && shown(last);
    },
    async preview(request) {
      const each = inOrder.map(async ({ origin, weight = 0, isStandby = false }) => {
        const previews = (await origin.preview?.(request)) ?? [];
        return previews.map((preview) => ({ ...preview, weight, isStandby }));
      });
      return (await Promise.all(each)).flat();
    },
    async close() {},
  };
}

/** A standby may lag behind. A version older than the stored one counts as a 304; some servers send a 304 for it. */
function orNothingNewer(
  answer: OriginAnswer | NotModified,
  { isStandby = false }: Candidate,
  unless: Validators | undefined,
): OriginAnswer | NotModified {
  if (!isStandby || answer.isNotModified || !isBefore(answer.lastModified, unless?.lastModified)) return answer;
  answer.body.destroy();
  const { life, headMs } = answer;
  return { isNotModified: true, etag: undefined, lastModified: undefined, life, headMs };
}

function isBefore(date: string | undefined, other: string | undefined): boolean {
  const [at, otherAt] = [date, other].map((text) => (text === undefined ? undefined : parseHttpDate(text)));
  return at !== undefined && otherAt !== undefined && at < otherAt;
}

const isWeighted = ({ weight = 0 }: Candidate) => weight > 0;

/** The listed order; the places of weighted origins are filled by drawing one after the other. */
function drawOrder(candidates: readonly Candidate[], random: () => number): readonly Candidate[] {
  const left = candidates.filter(isWeighted);
  return candidates.map((candidate) => (isWeighted(candidate) ? (draw(left, random) ?? candidate) : candidate));
}

/** Removes and returns one candidate, drawn by weight. */
function draw(left: Candidate[], random: () => number): Candidate | undefined {
  let point = random() * left.reduce((sum, { weight = 0 }) => sum + weight, 0);
  const drawn = left.findIndex(({ weight = 0 }) => {
    point -= weight;
    return point < 0;
  });
  // -1 removes the last one: rounding may leave the point at the very end.
  return left.splice(drawn, 1)[0];
}

// 404 and 410 mean that there is no such image, which only an answer about the image may say (NoSuchBucket is a 404
// too). 407 would make the client look for a proxy of its own.
const NEVER_SHOWN: readonly number[] = [404, 407, 410];

/** The status that a client may get instead of 424; undefined: 424 stays. */
export function transparentStatus(originStatus: number | undefined): number | undefined {
  if (originStatus === undefined || NEVER_SHOWN.includes(originStatus)) return undefined;
  return originStatus >= 400 && originStatus <= 599 ? originStatus : undefined;
}

/** The same error, with the status for the client. */
function transparent(error: HuiyuanError): HuiyuanError {
  const answerStatus = transparentStatus(error.originStatus);
  if (answerStatus === undefined) return error;
  const { code, message, cause, originStatus, retryAfterSeconds } = error;
  const details = { cause, answerStatus, ...(originStatus === undefined ? {} : { originStatus }) };
  return new HuiyuanError(code, message, retryAfterSeconds === undefined ? details : { ...details, retryAfterSeconds });
}
