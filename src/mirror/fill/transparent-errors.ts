// `transparentErrors`: an origin whose refusals reach the client under their own status. Only the status: no header and
// no byte of the origin's answer is passed on, and X-ErrNo stays.
import { HuiyuanError } from "../../core/errors.ts";
import type { Origin } from "../../origin/origin.ts";

// 404 and 410 would say that there is no such image, which only an answer about the image may say (NoSuchBucket is 404
// too). 407 would make the client look for a proxy of its own.
const KEPT_BACK: readonly number[] = [404, 407, 410];

/** The status that a client may be shown instead of 424; undefined where 424 stays. */
export function transparentStatus(originStatus: number | undefined): number | undefined {
  if (originStatus === undefined || KEPT_BACK.includes(originStatus)) return undefined;
  return originStatus >= 400 && originStatus <= 599 ? originStatus : undefined;
}

/** The origin, its errors marked with the status to be answered. */
export function withTransparentErrors(origin: Origin): Origin {
  return {
    ...origin,
    async fetch(request) {
      try {
        return await origin.fetch(request);
      } catch (error) {
        throw transparent(error);
      }
    },
    refusal() {
      const error = origin.refusal?.();
      return error === undefined ? undefined : (transparent(error) as HuiyuanError); // a HuiyuanError stays one
    },
  };
}

function transparent(error: unknown): unknown {
  if (!(error instanceof HuiyuanError)) return error;
  const answerStatus = transparentStatus(error.originStatus);
  if (answerStatus === undefined) return error;
  const { code, message, originStatus, retryAfterSeconds } = error;
  return new HuiyuanError(code, message, {
    cause: error.cause,
    answerStatus,
    ...(originStatus === undefined ? {} : { originStatus }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
