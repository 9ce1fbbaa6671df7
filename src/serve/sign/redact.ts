// Removes secrets from names and request-targets for logs, in every spelling, and rather too much than too little. Not
// for values that are compared, stored or sent: in those only the exact spelling `sign` is a token.

/** A pattern for one character in either case, escaped any number of times. `hex`: the pattern behind the `%`. */
const spelled = (letter: string, hex: string) => `(?:${letter}|%(?:25)*${hex})`;
const SIGN = spelled("s", "[57]3") + spelled("i", "[46]9") + spelled("g", "[46]7") + spelled("n", "[46]e");
const SPACES = `(?:[\\s+]|%(?:25)*(?:0[\\dad]|20|2b))*`;
/** Excludes other parameters, such as `design`, and path segments. An escape before it may stand for any character. */
const BEFORE = "(?:^|%(?:25)*[\\da-f]{2}|[^a-z/])";
const NAME = `${BEFORE}${SIGN}${SPACES}`;
const TOKENS = new RegExp(`(${NAME}(?:[=:]|%(?:25)*3[ad]))[^&]*`, "gi");
const TOKENS_IN_WORDS = new RegExp(`(${NAME}(?:=|%(?:25)*3d))[^&"\\s]*`, "gi");

const START = /^((?:[a-z][a-z\d+.-]*:)?\/\/)?([^/?#]*)/i;
/** Only a host, without a port: after `:` a password could begin. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])$/i;
const TO_LAST_AT = /^.*(?=@|%(?:25)*40)/s;

/** The image of a watermark, a URL in Base64, up to the next parameter. */
const WATERMARKS = /((?:\/|%(?:25)*2f)image(?:\/|%(?:25)*2f))([^&]*)/gi;
/** A watermark's URL may have a watermark itself. No real request nests deeper. */
const MAX_DEPTH = 2;

/**
 * Redacts a key, a URL, or its path and query. Never throws.
 * - `sign=…`: replaced up to the next `&`, also if it is escaped, in capitals, or behind `;`.
 * - `user:password@`: replaced.
 * - An image watermark whose URL has one of these: replaced with everything behind it.
 */
export function redactTarget(target: string): string {
  return redacted(target, 0);
}

/** Redacts the tokens of URLs inside a sentence. */
export function redactWords(text: string): string {
  return text.replace(TOKENS_IN_WORDS, "$1…");
}

function redacted(target: string, depth: number): string {
  const text = withoutUserinfo(target).replace(TOKENS, "$1…");
  return text.replace(WATERMARKS, (whole, before: string, rest: string) =>
    depth === MAX_DEPTH || hasSecret(rest, depth) ? `${before}…` : whole,
  );
}

/**
 * Replaces everything up to the last `@`, because a password may have any character. Does nothing if the authority is
 * clearly a host, or if there is none.
 */
function withoutUserinfo(target: string): string {
  const [, before = "", authority = ""] = START.exec(target) ?? [];
  if (authority === "" ? before === "" : HOST.test(authority)) return target;
  // A name such as a@2x.png has no password.
  if (before === "" && !authority.includes(":")) return target;
  const [userinfo] = TO_LAST_AT.exec(target) ?? [];
  return userinfo === undefined ? target : `${before}…${target.slice(userinfo.length)}`;
}

/** Whether the text behind `image/`, or a part of it, is a URL with a secret. Base64 may have slashes. */
function hasSecret(rest: string, depth: number): boolean {
  const text = rest.replace(/%(?:25)*([\da-f]{2})/gi, (_whole, octet: string) =>
    String.fromCharCode(Number.parseInt(octet, 16)),
  );
  return [text, ...text.split(/[/|]/)].some((part) => {
    const url = Buffer.from(part, "base64").toString("latin1");
    // Most parts are no Base64, and their decoded octets mean nothing.
    return (/^[ -~]+$/.test(url) || url.includes("://")) && redacted(url, depth + 1) !== url;
  });
}
