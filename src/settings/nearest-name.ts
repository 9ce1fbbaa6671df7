// Finds the name that a misspelt one most likely means.

/** The most similar of `known`, ignoring case; undefined if each differs in more than two fifths of its letters. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((each) => ({ each, distance: editDistance(name.toLowerCase(), each.toLowerCase()) }))
    .filter(({ each, distance }) => distance * 5 <= Math.max(name.length, each.length) * 2)
    .sort((a, b) => a.distance - b.distance);
  return nearest?.each;
}

/** The number of letters to insert, remove or replace (Levenshtein distance). */
function editDistance(from: string, to: string): number {
  // One row of the table: the distances of the letters of `from` so far to each beginning of `to`.
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = (row[at - 1] ?? 0) + (letter === to[at - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
