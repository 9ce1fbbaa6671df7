// Explains each failure of an origin to its operator, and what to do. Pure.
import type { ErrorCode } from "../../core/errors.ts";
import type { ProbeVerdict } from "../../origin/kinds/probe.ts";

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
    "The image is compressed, although no compression was requested. Clients get 424: switch compression off for images.",
  origin_too_large: "It is larger than limits.objectSize (default 20MiB).",
  origin_unexpected: "Only 200 is a whole image.",
};

/** Undefined if there is nothing to add. */
export function meaningOf(verdict: ProbeVerdict, status: number): string | undefined {
  if (verdict === "whole" || verdict === "not-modified") return undefined;
  if (verdict === "absent") return "The origin has no such image. Check the path of the sample.";
  if (verdict === "suspect")
    return "The length is right, but the image has no proper end or another MD5. It is served but not stored; `suspects: keep` stores it after a second, equal fetch.";
  if (verdict === "origin_status") return ofStatus(status);
  return MEANINGS[verdict];
}

function ofStatus(status: number): string {
  if (status === 401 || status === 407)
    return "The origin requires a password or a token: see basicAuth and headers in docs/guide-origins.md.";
  if (status === 403)
    return "The origin refuses this machine: by Referer (--referer), address, User-Agent, or a missing signature (types qiniu and s3).";
  if (status === 429) return "The origin limits the request rate: see requestsPerSecond in docs/guide-failover.md.";
  if (status === 421 || status === 400) return "The origin may expect another host name: try --host NAME.";
  return "Clients get 424, and nothing is stored.";
}
