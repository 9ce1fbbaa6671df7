// Which 404 says that something is not there. S3 says with it which request it was; one that does not is of what stands before
// S3, and means nothing, unless this S3 is known not to say so (conditions.ts finds that out).
import type { HttpReply } from "./http-call.ts";

/** Which request this was, as AWS, OSS, COS, OBS and Kodo say it in every answer. */
const REQUEST_IDS = ["x-amz-request-id", "x-oss-request-id", "x-cos-request-id", "x-obs-request-id", "x-reqid"];

export interface Absence {
  /** How many 404s have said which request they were. */
  readonly signed: number;
  /** Whether a 404 is an answer of S3. */
  isBelieved(reply: HttpReply): boolean;
  /** This S3 does not say which request it was. Taken back by a 404 that does. */
  believeUnsigned(): void;
}

export function isSigned(reply: HttpReply): boolean {
  return REQUEST_IDS.some((name) => reply.header(name) !== undefined);
}

export function createAbsence(): Absence {
  let isUnsigned = false;
  let signed = 0;
  return {
    get signed() {
      return signed;
    },
    isBelieved(reply) {
      if (!isSigned(reply)) return isUnsigned;
      isUnsigned = false;
      signed += 1;
      return true;
    },
    believeUnsigned() {
      isUnsigned = true;
    },
  };
}
