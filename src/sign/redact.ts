// Texts for logs: what a request-target may have of secrets is taken out, however it was spelled. Not for what is compared,
// stored or sent on: there only `sign`, spelled so, is a token.

/** `sign` as somebody may write it who means it; the server takes only the plain spelling for a token. */
const SIGN = "(?:s|%[57]3)(?:i|%[46]9)(?:g|%[46]7)(?:n|%[46]e)";
const TOKENS = new RegExp(`((?:[?&;]|%3f|%26|%3b)${SIGN}(?:=|%3d))[^&]*`, "gi");
/** Of an absolute target: name and password. */
const USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i;

/** Every `sign=…`, also escaped, in capitals, or behind `;`, is replaced as far as the next `&`; so is `user:password@`. */
export function redactTarget(target: string): string {
  return target.replace(USERINFO, "$1…@").replace(TOKENS, "$1…");
}
