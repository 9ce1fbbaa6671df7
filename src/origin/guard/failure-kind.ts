// Maps an error of Origin.fetch to its kind of failure, in the terms of `failoverOn`. Pure; the breaker and the
// mirror's failover decide what follows.
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

/**
 * Undefined for errors that are neither the network nor a status: a response that may not be used, or an error of this
 * server.
 */
export function failureKind({ code, originStatus }: HuiyuanError): FailureKind | undefined {
  if (code === "origin_status" || code === "origin_busy") return originStatus;
  if (CONNECT.includes(code)) return "connect";
  return TIMEOUT.includes(code) ? "timeout" : undefined;
}
