// Texts for logs: what a name or a request-target may have of secrets is taken out, however it was spelled, and rather too much of
// it than too little. Not for what is compared, stored or sent on: there only `sign`, spelled so, is a token.

/** One character, in either case, escaped any number of times: `hex` is what may stand behind the `%`. */
const spelled = (letter: string, hex: string) => `(?:${letter}|%(?:25)*${hex})`;
const SIGN = spelled("s", "[57]3") + spelled("i", "[46]9") + spelled("g", "[46]7") + spelled("n", "[46]e");
const SPACES = `(?:[\\s+]|%(?:25)*(?:0[\\dad]|20|2b))*`;
/** No other parameter, such as `design`, and no name between slashes. What is escaped may be anything. */
const BEFORE = "(?:^|%(?:25)*[\\da-f]{2}|[^a-z/])";
const NAME = `${BEFORE}${SIGN}${SPACES}`;
const TOKENS = new RegExp(`(${NAME}(?:[=:]|%(?:25)*3[ad]))[^&]*`, "gi");
const TOKENS_IN_WORDS = new RegExp(`(${NAME}(?:=|%(?:25)*3d))[^&"\\s]*`, "gi");

const START = /^((?:[a-z][a-z\d+.-]*:)?\/\/)?([^/?#]*)/i;
/** Nothing but a host. A port may as well be where a password begins. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])$/i;
const TO_LAST_AT = /^.*(?=@|%(?:25)*40)/s;

/** From the name of an image that is laid over another, a URL in Base64, as far as the next parameter. */
const WATERMARKS = /((?:\/|%(?:25)*2f)image(?:\/|%(?:25)*2f))([^&]*)/gi;
/** A mark's URL may have a mark, and so on; nobody means that. */
const MAX_DEPTH = 2;

/**
 * A key, a URL or its path and query. Every `sign=…`, also escaped, in capitals, or behind `;`, is replaced as far as the next `&`; so is
 * `user:password@`, and an image mark whose URL has one of them with all that follows it. Never throws.
 */
export function redactTarget(target: string): string {
  return redacted(target, 0);
}

/** The tokens of URLs that stand in a sentence. */
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
 * A password may have any character, so that all up to the last `@` goes, unless what a host's place has is plainly a host or a path
 * begins there.
 */
function withoutUserinfo(target: string): string {
  const [, before = "", authority = ""] = START.exec(target) ?? [];
  if (authority === "" ? before === "" : HOST.test(authority)) return target;
  // A name such as a@2x.png has no password.
  if (before === "" && !authority.includes(":")) return target;
  const [userinfo] = TO_LAST_AT.exec(target) ?? [];
  return userinfo === undefined ? target : `${before}…${target.slice(userinfo.length)}`;
}

/** Whether a piece of what follows `image/` is a URL with a secret, or all of it, for Base64 may have slashes. */
function hasSecret(rest: string, depth: number): boolean {
  const text = rest.replace(/%(?:25)*([\da-f]{2})/gi, (_whole, octet: string) =>
    String.fromCharCode(Number.parseInt(octet, 16)),
  );
  return [text, ...text.split(/[/|]/)].some((piece) => {
    const url = Buffer.from(piece, "base64").toString("latin1");
    // Most pieces are no Base64, and nothing is to be seen in the octets they come to.
    return (/^[ -~]+$/.test(url) || url.includes("://")) && redacted(url, depth + 1) !== url;
  });
}
