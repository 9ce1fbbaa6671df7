// Caches the results of a pure function of a text, within bounds: popular images are requested with the same URL, host
// and query again and again. It caches how a text is parsed, never a response.

/** Longer texts are not cached: a bound on length is a bound on memory. Characters. */
const MAX_TEXT_CHARACTERS = 512;
/** The default number of texts in each of the two generations. */
const MAX_TEXTS = 4_096;

/**
 * `read` must depend on its text alone. Its results are shared, so callers must not change them; exceptions are not
 * cached. When the young generation has `maxTexts`, the old one is dropped and the young one becomes old.
 */
export function memoize<Result>(read: (text: string) => Result, maxTexts = MAX_TEXTS): (text: string) => Result {
  let young = new Map<string, Result>();
  let old = new Map<string, Result>();

  return (text) => {
    const known = young.get(text);
    if (known !== undefined) return known;
    if (text.length > MAX_TEXT_CHARACTERS) return read(text);
    // A copy: V8 keeps the whole request head for a text that was cut out of it.
    const own = Buffer.from(text).toString();
    const result = old.get(own) ?? read(own);
    if (young.size >= maxTexts) {
      old = young;
      young = new Map();
    }
    young.set(own, result);
    return result;
  };
}
