// Setting `transparentErrors`: an error status of the origin is sent to the client instead of 424. Only the status: no
// header and no byte of the origin's answer is forwarded, and X-ErrNo stays.
import { HuiyuanError } from "../../core/errors.ts";
import type { Origin } from "../../origin/origin.ts";

// 404 and 410 mean that there is no such image, which only an answer about the image may say (NoSuchBucket is a 404
// too). 407 would make the client look for a proxy of its own.
const NEVER_SHOWN: readonly number[] = [404, 407, 410];

/** The status that a client may get instead of 424; undefined: 424 stays. */
export function transparentStatus(originStatus: number | undefined): number | undefined {
  if (originStatus === undefined || NEVER_SHOWN.includes(originStatus)) return undefined;
  return originStatus >= 400 && originStatus <= 599 ? originStatus : undefined;
}

/** The same origin; its errors carry the status for the client. */
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
      // transparent() returns a HuiyuanError for a HuiyuanError.
      return error === undefined ? undefined : (transparent(error) as HuiyuanError);
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
