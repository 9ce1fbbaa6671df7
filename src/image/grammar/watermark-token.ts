// The URL of a mark may have a token. It opens the mark for its client and is no part of what is made with the mark: no name
// of a variant, no line of the log and no origin has it. Nor does how else a URL is written make another variant.

/** The URL of a mark without its token. */
export function watermarkWithoutToken(url: string): string {
  const queryAt = url.indexOf("?");
  if (queryAt === -1) return url;
  const parts = url.slice(queryAt + 1).split("&");
  const rest = parts.filter((part) => !part.startsWith("sign="));
  if (rest.length === parts.length) return url;
  return rest.length === 0 ? url.slice(0, queryAt) : `${url.slice(0, queryAt + 1)}${rest.join("&")}`;
}

/** The URL by which a mark is known, however it was written: without its token, and without what chooses no other image. */
export function watermarkName(url: string): string {
  return watermarkWithoutToken(url).replace(AUTHORITY, (_whole, host: string) => `http://${host.toLowerCase()}`);
}

/** As the Host header is read: a name in any case, perhaps with the root's dot, and a port. */
const AUTHORITY = /^https?:\/\/([\w-]+(?:\.[\w-]+)*)\.?(?::\d{0,5})?(?=[/?]|$)/i;

/**
 * `watermark/1/image/<URL in Base64>`, in an instruction that may still be percent-encoded. Characters that are none of Base64 are passed
 * over by whoever decodes it, and so here.
 */
const IMAGE = /((?:\/|%2f)image(?:\/|%2f))((?:[^/|&%]|%(?!2f|7c|26))+)/gi;

/** An instruction, raw or decoded, or a URL that has one: with the URLs of its marks without their tokens. */
export function withoutWatermarkTokens(text: string): string {
  return text.replace(IMAGE, (_whole, before: string, encoded: string) => `${before}${encodedWithoutToken(encoded)}`);
}

function encodedWithoutToken(encoded: string): string {
  const url = decoded(encoded);
  const plain = watermarkWithoutToken(url);
  return plain === url ? encoded : Buffer.from(plain, "latin1").toString("base64url");
}

/** Octets for characters: what is no UTF-8 stays as it is. */
function decoded(encoded: string): string {
  return Buffer.from(octets(encoded), "base64url").toString("latin1");
}

/** Base64 has ASCII alone; a larger octet is none of it. */
function octets(text: string): string {
  return text.replace(/%([\da-f]{2})/gi, (_whole, octet: string) => String.fromCharCode(Number.parseInt(octet, 16)));
}
