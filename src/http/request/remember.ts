// Remembers what a pure reader of texts has said, within bounds: hot pictures are asked for with the same URL, host and
// query over and over. It remembers how a text reads, never what it was answered with.

/** Longer texts are read anew each time: a bound on length is a bound on memory. Characters. */
const MAX_TEXT_CHARACTERS = 512;
/** Texts in each of the two halves, where nothing else is said. */
const MAX_TEXTS = 4_096;

/**
 * `read` must depend on its text alone, and its results are shared: never change one. What it throws is not remembered. The
 * older half is forgotten whole when the younger has `maxTexts`.
 */
export function remember<Result>(read: (text: string) => Result, maxTexts = MAX_TEXTS): (text: string) => Result {
  let young = new Map<string, Result>();
  let old = new Map<string, Result>();

  function learn(text: string): Result {
    if (text.length > MAX_TEXT_CHARACTERS) return read(text);
    // A text of its own: cut out of a request head, it would keep the whole head.
    const own = Buffer.from(text).toString();
    const result = old.get(own) ?? read(own);
    if (young.size >= maxTexts) {
      old = young;
      young = new Map();
    }
    young.set(own, result);
    return result;
  }

  return (text) => young.get(text) ?? learn(text);
}
