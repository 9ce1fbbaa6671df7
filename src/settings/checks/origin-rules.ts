// What the settings of an origin may say: its URL and its extra headers. Pure; it never looks a name up.
import { isForbiddenPort } from "../../core/ports.ts";
import { isNeverDialled, isPrivateHost } from "../hosts.ts";

/** Why the text cannot be an origin's base URL; undefined when it can. The text is never repeated: it may hold a password. */
export function originUrlFault(text: string): string | undefined {
  if (!/^https?:\/\/[^/]/i.test(text)) return "wanted a URL that begins with http:// or https://";
  if (/[\s\\]/.test(text)) return "the URL contains a space or a backslash";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return "the URL is not valid";
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/]*@/.test(text)) {
    return "a user name or password does not belong in the URL, set basicAuth instead";
  }
  if (text.includes("?")) return "the URL has a query, wanted scheme, host and path only";
  if (text.includes("#")) return "the URL has a fragment, wanted scheme, host and path only";
  if (url.port !== "" && isForbiddenPort(Number(url.port)))
    return `port ${url.port} is never dialled, wanted another one`;
  return undefined;
}

/** Why the text cannot be a callback's URL; undefined when it can. As of an origin, but a query is allowed. */
export function callbackUrlFault(text: string): string | undefined {
  const [base = "", ...query] = text.split("?");
  if (/[\s\\]/.test(query.join("?"))) return "the URL contains a space or a backslash";
  if (text.includes("#")) return "the URL has a fragment, which is never sent";
  if (/^[^/]*\/\/[^/]*@/.test(base)) {
    return "a user name or password does not belong in the URL, notices are signed with the secret";
  }
  return originUrlFault(base);
}

/** Why a literal address may not be an origin or told of uploads; undefined when it may. `text` has passed originUrlFault. */
export function addressFault(text: string, isPrivateMeant: boolean): string | undefined {
  const { hostname } = new URL(text);
  if (isNeverDialled(hostname)) return `${hostname} is never dialled, wanted another address`;
  if (isPrivateMeant || !isPrivateHost(hostname)) return undefined;
  return `${hostname} is a private address, set allowPrivate: true if that is meant`;
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Extra headers of one origin at most. */
export const MAX_ORIGIN_HEADERS = 10;

// Hop-by-hop (RFC 9110 §7.6.1), framing, and what decides whether the answer is the whole object in no encoding.
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "cdn-loop",
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
]);

/** Why a header of this name cannot be added to requests; undefined when it can. */
export function headerNameFault(name: string): string | undefined {
  if (!HEADER_NAME.test(name)) return "is not a valid header name";
  const lower = name.toLowerCase();
  if (lower === "host" || lower === "referer") return `use the origin's key "${lower}" for this header`;
  if (RESERVED_HEADERS.has(lower) || lower.startsWith("if-")) return "this header is set by the mirror itself";
  return undefined;
}

// What answers are negotiated by would be stored for all, as would what makes some servers answer for another URL;
// credentials are not the next client's, and signed headers of clouds are ours alone.
const NEVER_PASSED =
  /^(accept(-.*)?|authorization|cookie2?|content-.*|date|host|want-.*|x-(original|rewrite)-url|x-http-method.*|x-(amz|oss|cos|obs|qiniu)-.*)$/;

/** Why a header of the client's request may not be passed on to an origin; undefined when it may. */
export function passedHeaderFault(name: string): string | undefined {
  if (!HEADER_NAME.test(name)) return "is not a valid header name";
  const lower = name.toLowerCase();
  const isOurs = RESERVED_HEADERS.has(lower) || lower.startsWith("if-") || lower.startsWith("proxy-");
  return isOurs || NEVER_PASSED.test(lower) ? "this header of a client is never passed on" : undefined;
}

/** True for text that may be the value of a header: printable ASCII, blanks inside only. */
export function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
