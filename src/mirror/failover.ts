// Which origin is asked, and which failure lets the next one be asked. A 404 is an answer and never fails over.
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../errors.ts";
import type { Origin, OriginAnswer, OriginRequest } from "../origin/origin.ts";

const CONNECT: readonly ErrorCode[] = [
  "origin_refused",
  "origin_reset",
  "origin_tls",
  "origin_name_unknown",
  "origin_dns_failed",
];
const TIMEOUT: readonly ErrorCode[] = ["origin_timeout", "origin_dns_timeout"];

/** True for 5xx, time-outs and failures to connect: the default `failoverOn: [5xx, timeout, connect]`. */
export function failsOver(error: HuiyuanError): boolean {
  if (error.code === "origin_status") return (error.originStatus ?? 0) >= 500;
  return CONNECT.includes(error.code) || TIMEOUT.includes(error.code);
}

/**
 * Asks the origins in order until one answers. Undefined: an origin said that there is no such object, and none before
 * it had failed: the one that did not answer may have what the next lacks. Throws the last failure when none is left,
 * or the first that does not fail over.
 */
export async function fetchInOrder(
  origins: readonly Origin[],
  request: OriginRequest,
): Promise<OriginAnswer | undefined> {
  let last: HuiyuanError | undefined;
  for (const origin of origins) {
    try {
      const answer = await origin.fetch(request);
      if (answer !== undefined || last === undefined) return answer;
    } catch (error) {
      last = asHuiyuanError(error);
      if (request.signal.aborted || !failsOver(last)) throw last;
    }
  }
  throw last ?? new HuiyuanError("internal", "Cannot fetch from an origin: none is configured");
}
