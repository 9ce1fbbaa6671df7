// Checks URLs and extra headers of origins. Pure; it resolves no names.
import { isForbiddenPort } from "../../core/addresses.ts";
import { isNeverDialled, isPrivateHost } from "../hosts.ts";

/** Fault of an origin's base URL, or undefined. It never repeats the text, which may hold a password. */
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

/** Fault of a callback's URL, or undefined. As for an origin, but a query is allowed. */
export function callbackUrlFault(text: string): string | undefined {
  const [base = "", ...query] = text.split("?");
  if (/[\s\\]/.test(query.join("?"))) return "the URL contains a space or a backslash";
  if (text.includes("#")) return "the URL has a fragment, which is never sent";
  if (/^[^/]*\/\/[^/]*@/.test(base)) {
    return "a user name or password does not belong in the URL, notices are signed with the secret";
  }
  return originUrlFault(base);
}

/** Fault of a literal address for an origin or a callback, or undefined. `text` has passed originUrlFault(). */
export function addressFault(text: string, allowPrivate: boolean): string | undefined {
  const { hostname } = new URL(text);
  if (isNeverDialled(hostname))
    return `${hostname} is a reserved address (link-local, multicast, …), which is never dialled; write a public or a private one`;
  if (allowPrivate || !isPrivateHost(hostname)) return undefined;
  return `${hostname} is a private address; if it is meant, add \`allowPrivate: true\` next to this key`;
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Largest number of extra headers of an origin. */
export const MAX_ORIGIN_HEADERS = 10;

// Hop-by-hop headers (RFC 9110 §7.6.1), framing, and headers that could select a part or an encoding of the object.
const RESERVED: ReadonlySet<string> = new Set(
  (
    "accept-encoding cdn-loop connection content-length expect keep-alive proxy-authenticate " +
    "proxy-authentication-info proxy-authorization proxy-connection range te trailer transfer-encoding upgrade via"
  ).split(" "),
);

/** Fault of the name of an extra request header, or undefined. */
export function headerNameFault(name: string): string | undefined {
  if (!HEADER_NAME.test(name)) return "is not a valid header name";
  const lower = name.toLowerCase();
  if (lower === "host" || lower === "referer") return `use the origin's key "${lower}" for this header`;
  if (RESERVED.has(lower) || lower.startsWith("if-")) return "this header is set by the mirror itself";
  return undefined;
}

// Never passed, because the answer is stored for all clients: headers of negotiation, credentials, and headers that
// make some servers answer for another URL. Signed headers of clouds are set by this program only.
const NEVER_PASSED =
  /^(accept(-.*)?|authorization|cookie2?|content-.*|date|host|if-.*|proxy-.*|want-.*|x-(original|rewrite)-url|x-http-method.*|x-(amz|oss|cos|obs|qiniu)-.*)$/;

/** Fault of passing this client header to an origin, or undefined. */
export function passedHeaderFault(name: string): string | undefined {
  if (!HEADER_NAME.test(name)) return "is not a valid header name";
  const lower = name.toLowerCase();
  return RESERVED.has(lower) || NEVER_PASSED.test(lower) ? "this header of a client is never passed on" : undefined;
}

/** True for a valid header value: printable ASCII, with inner blanks only. */
export function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
