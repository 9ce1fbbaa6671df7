// Patterns of rules: `*` for any characters, `?` for one. No regular expressions: the time is bounded by the lengths of
// pattern and text multiplied, whatever they hold.

/** Whether the whole text fits. A character is a Unicode code point; `*` stands for slashes too, and for nothing. */
export function createGlob(pattern: string): (text: string) => boolean {
  const wanted = [...pattern];
  return (text) => fits(wanted, [...text]);
}

function fits(wanted: readonly string[], text: readonly string[]): boolean {
  let at = 0;
  // Where the last star stands, and how far it has reached.
  let star = -1;
  let reached = 0;
  for (let index = 0; index < text.length; ) {
    if (wanted[at] === "*") {
      star = at;
      at += 1;
      reached = index;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === text[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      // What lies between two stars fits where it first can, so only the last star ever has to give way.
      at = star + 1;
      reached += 1;
      index = reached;
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((character) => character === "*");
}
