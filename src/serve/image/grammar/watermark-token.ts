// Removes tokens from the URLs of watermarks and normalizes the URLs. A token authorizes a client to use the watermark.
// It must not appear in names of variants, logs or requests to an origin. It does not check tokens.

/** The URL of a watermark without its token. */
export function watermarkWithoutToken(url: string): string {
  const queryAt = url.indexOf("?");
  if (queryAt === -1) return url;
  const parts = url.slice(queryAt + 1).split("&");
  const rest = parts.filter((part) => !part.startsWith("sign="));
  if (rest.length === parts.length) return url;
  return rest.length === 0 ? url.slice(0, queryAt) : `${url.slice(0, queryAt + 1)}${rest.join("&")}`;
}

/**
 * The normal form of a watermark's URL: no token, `http`, host in lower case without port, because none of these
 * changes the image.
 */
export function watermarkName(url: string): string {
  return watermarkWithoutToken(url).replace(AUTHORITY, (_whole, host: string) => `http://${host.toLowerCase()}`);
}

/** An authority as accepted in the Host header: a name in any case, an optional final dot, an optional port. */
const AUTHORITY = /^https?:\/\/([\w-]+(?:\.[\w-]+)*)\.?(?::\d{0,5})?(?=[/?]|$)/i;

/**
 * `watermark/1/image/<URL in Base64>` in an instruction that may still be percent-encoded. Decoders ignore characters
 * outside the Base64 alphabet, so this pattern accepts them.
 */
const IMAGE = /((?:\/|%2f)image(?:\/|%2f))((?:[^/|&%]|%(?!2f|7c|26))+)/gi;

/** Removes the tokens of watermark URLs from an instruction, raw or decoded, or from a URL with an instruction. */
export function withoutWatermarkTokens(text: string): string {
  return text.replace(IMAGE, (_whole, before: string, encoded: string) => `${before}${encodedWithoutToken(encoded)}`);
}

function encodedWithoutToken(encoded: string): string {
  const url = decoded(encoded);
  const plain = watermarkWithoutToken(url);
  return plain === url ? encoded : Buffer.from(plain, "latin1").toString("base64url");
}

/** Decodes to one character an octet, so that invalid UTF-8 is preserved. */
function decoded(encoded: string): string {
  return Buffer.from(octets(encoded), "base64url").toString("latin1");
}

/** Percent-decodes octet by octet. Base64 is ASCII, so octets above 127 need no UTF-8 decoding. */
function octets(text: string): string {
  return text.replace(/%([\da-f]{2})/gi, (_whole, octet: string) => String.fromCharCode(Number.parseInt(octet, 16)));
}
