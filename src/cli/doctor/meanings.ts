// What each way in which an origin may fail means for its operator, in a newcomer's words. Pure.
import type { ErrorCode } from "../../core/errors.ts";
import type { ProbeVerdict } from "../../origin/kinds/probe.ts";

const MEANINGS: Partial<Record<ErrorCode, string>> = {
  origin_blocked:
    "Addresses of a private network are dialled only where it is meant: say --allow-private (allowPrivate: true in the settings). Addresses that hold credentials of clouds, multicast and the like are never dialled.",
  origin_name_unknown: "The name does not exist. Is it spelled right?",
  origin_dns_failed: "No name server could be asked. Has this machine a network?",
  origin_dns_timeout: "No name server answered in time. Has this machine a network?",
  origin_refused: "Nothing listens there, or a firewall refuses this machine.",
  origin_timeout:
    "A mirror waits so long and no longer; clients get 424, and nothing is stored. A slow origin needs longer timeouts.",
  origin_tls:
    "The certificate is not valid for this name, has expired, or is signed by nobody this machine trusts (NODE_EXTRA_CA_CERTS names further ones).",
  origin_reset: "The connection was closed before any answer came.",
  origin_head_invalid: "The answer is not valid HTTP. Clients get 424, and nothing is stored.",
  origin_redirect: "Such a redirect is not followed. Clients get 424: name the place where it leads as the origin.",
  origin_truncated:
    "The body ended before its end: fewer bytes than announced, or no end of the image. Cut images are never stored.",
  origin_empty: "There is no byte in the body. Nothing is stored, clients get 424.",
  origin_not_image:
    "The bytes are no image, whatever the Content-Type says; often it is an error page that is sent with 200. It is never stored, clients get 424.",
  origin_encoded:
    "The image comes compressed although no compression was asked for. Clients get 424: switch compression off for images.",
  origin_too_large: "It is larger than limits.objectSize (20MiB unless the settings say more).",
  origin_unexpected: "Only 200 is a whole image.",
};

/** Undefined where there is nothing to add. */
export function meaningOf(verdict: ProbeVerdict, status: number): string | undefined {
  if (verdict === "whole" || verdict === "not-modified") return undefined;
  if (verdict === "absent") return "The origin has no such image. Is the sample's path right?";
  if (verdict === "suspect")
    return "The length is as announced, but the image has no proper end or another MD5. It is passed on and not stored; `suspects: keep` stores it after a second fetch that is equal.";
  if (verdict === "origin_status") return ofStatus(status);
  return MEANINGS[verdict];
}

function ofStatus(status: number): string {
  if (status === 401 || status === 407)
    return "The origin wants a password or a token: see basicAuth and headers in docs/guide-origins.md.";
  if (status === 403)
    return "The origin refuses this machine: by Referer (--referer), address, User-Agent, or a missing signature (types qiniu and s3).";
  if (status === 429) return "The origin asks for fewer requests: see requestsPerSecond in docs/guide-failover.md.";
  if (status === 421 || status === 400) return "The origin may know itself by another name: say --host NAME.";
  return "Clients get 424, and nothing is stored.";
}
