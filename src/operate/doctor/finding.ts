// The doctor's findings about an origin, hints for the proposed settings, and what a failure means to the operator.
import { errorCodeOf } from "../../core/disk-failure.ts";
import { asHuiyuanError, type ErrorCode, faultOf, type HuiyuanError } from "../../core/errors.ts";
import type { ProbeVerdict } from "../../serve/origin/kinds/probe.ts";
import type { DoctorLine } from "./contract.ts";

export type Finding = DoctorLine;
/** `problem`: images will fail or be wrong. `warning`: it works, with a drawback. */
export type Severity = Finding["severity"];

/** A finding without the name of its check. */
export type Verdict = Omit<Finding, "id">;

const made = (severity: Severity) => {
  return (found: string, means?: string, code?: string): Verdict => {
    return { severity, found, ...(means && { means }), ...(code && { code }) };
  };
};

/** Make a verdict of each severity. */
export const finding = { good: made("good"), note: made("note"), warning: made("warning"), problem: made("problem") };

/** Settings that should differ from the defaults, beside the origin's address. */
export interface Hints {
  type?: "everything";
  headMiss?: "store";
  referer?: string;
  /** Milliseconds. */
  firstByte?: number;
}

/** Collects findings while the checks run. */
export interface Notes {
  /** Aborting ends the examination. */
  readonly signal: AbortSignal;
  readonly hints: Hints;
  /** `id`: of the check. Nothing is found if the verdict is undefined. */
  say(id: string, verdict: Verdict | undefined): void;
}

/** Returns a failure of the origin. Rethrows other errors: an abort, the byte limit, or failures of this program. */
export function originFailure(error: unknown, { signal }: Notes): HuiyuanError {
  signal.throwIfAborted();
  const known = asHuiyuanError(error);
  if (faultOf(known.code) === "server") throw error;
  return known;
}

/** For catch(): undefined after a failure of the origin. Rethrows as originFailure() does. */
export const noReply = (notes: Notes) => (error: unknown) => void originFailure(error, notes);

/** Writes a duration as `12 ms` or `1.3 s`. */
export function formatMs(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

const MEANINGS: Partial<Record<ErrorCode, string>> = {
  origin_blocked:
    "Private addresses are dialled only with --allow-private (allowPrivate: true in the settings). Cloud metadata addresses, multicast and similar are never dialled.",
  origin_name_unknown: "The name does not exist. Check its spelling.",
  origin_dns_failed: "No name server could be reached. Check the network of this machine.",
  origin_dns_timeout: "No name server answered in time. Check the network of this machine.",
  origin_refused: "Nothing listens there, or a firewall refuses this machine.",
  origin_timeout:
    "The mirror stops waiting after this time; clients get 424, and nothing is stored. A slow origin needs longer timeouts.",
  origin_tls:
    "The certificate is not valid for this name, has expired, or its authority is not trusted (NODE_EXTRA_CA_CERTS adds authorities).",
  origin_reset: "The connection was closed before an answer.",
  origin_head_invalid: "The answer is not valid HTTP. Clients get 424, and nothing is stored.",
  origin_redirect: "Such a redirect is not followed. Clients get 424: set its target as the origin.",
  origin_truncated:
    "The body is truncated: fewer bytes than announced, or no end of the image. Truncated images are never stored.",
  origin_empty: "The body is empty. Nothing is stored, clients get 424.",
  origin_not_image:
    "The bytes are not an image, whatever the Content-Type; often it is an error page with status 200. It is never stored, clients get 424.",
  origin_encoded:
    "The body cannot be decoded by its Content-Encoding. The mirror decodes one of gzip, deflate and br. Clients get 424: switch compression off for images.",
  origin_too_large: "It is larger than limits.objectSize (default 20MiB).",
  origin_unexpected: "Only 200 is a whole image.",
};

/** Explains a failure of an origin to its operator, and what to do. Undefined if there is nothing to add. */
export function meaningOf(verdict: ProbeVerdict, status: number): string | undefined {
  if (verdict === "whole" || verdict === "not-modified") return undefined;
  if (verdict === "absent") return "The origin has no such image. Check the path of the sample.";
  if (verdict === "suspect")
    return "The length is right, but the image has no proper end or another MD5. It is served but not stored; `suspects: keep` stores it after a second, equal fetch.";
  if (verdict === "origin_status") return ofStatus(status);
  return MEANINGS[verdict];
}

/** The finding about a request without a response. */
export function failed({ code, cause, message }: HuiyuanError): Verdict {
  // The message says that the port speaks plain http, so no certificate is wrong.
  const isPlain = errorCodeOf(cause) === "ERR_SSL_WRONG_VERSION_NUMBER";
  return finding.problem(
    `${message} (${code})`,
    isPlain ? undefined : meaningOf(code, 0),
    isPlain ? "plain_http" : code,
  );
}

function ofStatus(status: number): string {
  if (status === 401 || status === 407)
    return "The origin requires a password or a token: see basicAuth and headers in docs/guides/origins.md.";
  if (status === 403)
    return "The origin refuses this machine: by Referer (--referer), address, User-Agent, or a missing signature (types qiniu and s3).";
  if (status === 429) return "The origin limits the request rate: see requestsPerSecond in docs/guides/failover.md.";
  if (status === 421 || status === 400) return "The origin may expect another host name: try --host NAME.";
  return "Clients get 424, and nothing is stored.";
}
