// The patterns of rules: `*` matches any characters, `?` one. They are no regular expressions: the time is bounded by
// the length of the pattern times that of the text.

/** Matches the whole text. A character is a Unicode code point; `*` also matches slashes, and the empty string. */
export function createGlob(pattern: string): (text: string) => boolean {
  const characters = [...pattern];
  return (text) => matches(characters, [...text]);
}

function matches(characters: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  // The place of the last star, and the end of the text that it matches so far.
  let star = -1;
  let reached = 0;
  for (let index = 0; index < text.length; ) {
    if (characters[at] === "*") {
      star = at;
      at += 1;
      reached = index;
    } else if (at < characters.length && (characters[at] === "?" || characters[at] === text[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      // The part between two stars matches at its first possible place, so only the last star has to match more.
      at = star + 1;
      reached += 1;
      index = reached;
    } else {
      return false;
    }
  }
  return characters.slice(at).every((character) => character === "*");
}
