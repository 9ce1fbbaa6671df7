// Texts from outside as they may be shown to a person: a key may hold anything, and a terminal obeys.

// C1 and DEL, and what turns the reading direction or ends a line.
const UNSAFE = "\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u2029";
const IN_TEXT = new RegExp(`[\\x00-\\x1f${UNSAFE}]`, "g");
const IN_LINES = new RegExp(`[${UNSAFE}]`, "g");

/** One text. */
export function shown(text: string): string {
  return text.replace(IN_TEXT, escaped);
}

/** Lines in colours of our own, in which the texts stand as JSON: that escapes C0 and no more. */
export function shownLines(lines: string): string {
  return lines.replace(IN_LINES, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
