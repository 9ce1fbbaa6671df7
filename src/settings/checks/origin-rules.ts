// Checks URLs and extra headers of origins. Pure; it resolves no names.
import { isForbiddenPort } from "../../core/addresses.ts";
import { type Both, say } from "../fault-words.ts";
import { isNeverDialled, isPrivateHost } from "../hosts.ts";

/** Fault of an origin's base URL, or undefined. It never repeats the text, which may hold a password. */
export function originUrlFault(text: string): Both | undefined {
  if (!/^https?:\/\/[^/]/i.test(text)) return say("notHttp");
  if (/[\s\\]/.test(text)) return say("urlSpace");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return say("urlInvalid");
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/]*@/.test(text)) return say("urlUser");
  if (text.includes("?")) return say("urlQuery");
  if (text.includes("#")) return say("urlFragment");
  if (url.port !== "" && isForbiddenPort(Number(url.port))) return say("urlPort", { port: url.port });
  return undefined;
}

/** Fault of a callback's URL, or undefined. As for an origin, but a query is allowed. */
export function callbackUrlFault(text: string): Both | undefined {
  const [base = "", ...query] = text.split("?");
  if (/[\s\\]/.test(query.join("?"))) return say("urlSpace");
  if (text.includes("#")) return say("callbackFragment");
  if (/^[^/]*\/\/[^/]*@/.test(base)) return say("callbackUser");
  return originUrlFault(base);
}

/** Fault of a literal address for an origin or a callback, or undefined. `text` has passed originUrlFault(). */
export function addressFault(text: string, allowPrivate: boolean): Both | undefined {
  const { hostname } = new URL(text);
  if (isNeverDialled(hostname)) return say("reserved", { host: hostname });
  if (allowPrivate || !isPrivateHost(hostname)) return undefined;
  return say("private", { host: hostname });
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
export function headerNameFault(name: string): Both | undefined {
  if (!HEADER_NAME.test(name)) return say("headerName");
  const lower = name.toLowerCase();
  if (lower === "host" || lower === "referer") return say("headerHasKey", { key: lower });
  if (RESERVED.has(lower) || lower.startsWith("if-")) return say("headerReserved");
  return undefined;
}

// Never passed, because the answer is stored for all clients: headers of negotiation, credentials, and headers that
// make some servers answer for another URL. Signed headers of clouds are set by this program only.
const NEVER_PASSED =
  /^(accept(-.*)?|authorization|cookie2?|content-.*|date|host|if-.*|proxy-.*|want-.*|x-(original|rewrite)-url|x-http-method.*|x-(amz|oss|cos|obs|qiniu)-.*)$/;

/** Fault of passing this client header to an origin, or undefined. */
export function passedHeaderFault(name: string): Both | undefined {
  if (!HEADER_NAME.test(name)) return say("headerName");
  const lower = name.toLowerCase();
  return RESERVED.has(lower) || NEVER_PASSED.test(lower) ? say("headerNeverPassed") : undefined;
}

/** True for a valid header value: printable ASCII, with inner blanks only. */
export function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
