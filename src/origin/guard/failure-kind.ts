// What kind of failure an error of Origin.fetch is, in the words of `failoverOn`. Pure; what follows from it is decided
// by the breaker and by the mirror's failover.
import type { ErrorCode, HuiyuanError } from "../../core/errors.ts";

/** A number is the origin's own status. */
export type FailureKind = "connect" | "timeout" | number;

// A reset before the first byte counts as a failure to connect.
const CONNECT: readonly ErrorCode[] = [
  "origin_refused",
  "origin_reset",
  "origin_tls",
  "origin_name_unknown",
  "origin_dns_failed",
];
const TIMEOUT: readonly ErrorCode[] = ["origin_timeout", "origin_dns_timeout"];

/** Undefined: neither the network nor a status, such as an answer that may not be used, or this server's own affair. */
export function failureKind({ code, originStatus }: HuiyuanError): FailureKind | undefined {
  if (code === "origin_status" || code === "origin_busy") return originStatus;
  if (CONNECT.includes(code)) return "connect";
  return TIMEOUT.includes(code) ? "timeout" : undefined;
}
