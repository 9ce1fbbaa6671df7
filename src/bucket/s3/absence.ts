// Which 404 says that something is not there. S3 says with it which request it was; one that does not is of what stands before
// S3, and means nothing, unless this S3 is known not to say so (conditions.ts finds that out).
import type { HttpReply } from "./http-call.ts";

/** Which request this was, as AWS, OSS, COS, OBS and Kodo say it in every answer. */
const REQUEST_IDS = ["x-amz-request-id", "x-oss-request-id", "x-cos-request-id", "x-obs-request-id", "x-reqid"];

export interface NotFoundRule {
  /** How many 404s have said which request they were. */
  readonly withRequestId: number;
  /** Whether a 404 is an answer of S3. */
  isTrusted(reply: HttpReply): boolean;
  /** This S3 does not say which request it was. Taken back by a 404 that does. */
  trustWithoutRequestId(): void;
}

export function hasRequestId(reply: HttpReply): boolean {
  return REQUEST_IDS.some((name) => reply.header(name) !== undefined);
}

export function createNotFoundRule(): NotFoundRule {
  let trustsWithoutRequestId = false;
  let withRequestId = 0;
  return {
    get withRequestId() {
      return withRequestId;
    },
    isTrusted(reply) {
      if (!hasRequestId(reply)) return trustsWithoutRequestId;
      trustsWithoutRequestId = false;
      withRequestId += 1;
      return true;
    },
    trustWithoutRequestId() {
      trustsWithoutRequestId = true;
    },
  };
}
