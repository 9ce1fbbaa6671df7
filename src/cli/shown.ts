// Escapes control characters in texts from outside, because a key may hold any and a terminal executes them.

// DEL and C1, and characters that change the reading direction or end a line.
const UNSAFE = "\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u2029";
const IN_TEXT = new RegExp(`[\\x00-\\x1f${UNSAFE}]`, "g");
const IN_LINES = new RegExp(`[${UNSAFE}]`, "g");

/** Escapes one text. */
export function shown(text: string): string {
  return text.replace(IN_TEXT, escaped);
}

/** Escapes whole lines with our own colours. Their texts are JSON, which has escaped C0 already. */
export function shownLines(lines: string): string {
  return lines.replace(IN_LINES, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
