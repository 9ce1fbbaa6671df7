// Writes the difference of two texts as unified lines, from the places that were changed. Pure.
import type { EditedText } from "./edit-text.ts";

const CONTEXT = 3;

/** Lines of both texts; the `To` are exclusive. */
interface Change {
  readonly oldFrom: number;
  readonly oldTo: number;
  readonly newFrom: number;
  readonly newTo: number;
}

/** `shown` hides parts of a text, and keeps its line breaks. Empty if nothing changed. */
export function unifiedDiff(
  edited: EditedText,
  shown: (text: string, document: EditedText["documents"]["before"]) => string,
): readonly string[] {
  const { before, after, documents } = edited;
  const old = linesOf(shown(before, documents.before));
  const next = linesOf(shown(after, documents.after.document));
  const changes = trimmed(changesOf(edited), linesOf(before), linesOf(after));
  return hunksOf(changes).flatMap((hunk) => {
    const [first, last] = [hunk[0] as Change, hunk.at(-1) as Change];
    const lead = Math.min(CONTEXT, first.oldFrom);
    const end = Math.min(old.length, last.oldTo + CONTEXT);
    const lines: string[] = [];
    let at = first.oldFrom - lead;
    for (const { oldFrom, oldTo, newFrom, newTo } of hunk) {
      lines.push(...old.slice(at, oldFrom).map((line) => ` ${line}`));
      lines.push(...old.slice(oldFrom, oldTo).map((line) => `-${line}`));
      lines.push(...next.slice(newFrom, newTo).map((line) => `+${line}`));
      at = oldTo;
    }
    lines.push(...old.slice(at, end).map((line) => ` ${line}`));
    const place = (sign: string, from: number) => {
      const count = lines.filter((line) => line[0] === sign || line[0] === " ").length;
      return `${sign}${count === 0 ? from : from + 1},${count}`;
    };
    return [`@@ ${place("-", first.oldFrom - lead)} ${place("+", first.newFrom - lead)} @@`, ...lines];
  });
}

function linesOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** The lines that the splices touch. */
function changesOf({ before, after, splices }: EditedText): readonly Change[] {
  const oldLine = lineCounter(before);
  const newLine = lineCounter(after);
  const changes: Change[] = [];
  let moved = 0;
  for (const { start, end, text } of splices) {
    const change = {
      oldFrom: oldLine(start),
      newFrom: newLine(start + moved),
      oldTo: oldLine(end) + 1,
      newTo: newLine(start + moved + text.length) + 1,
    };
    moved += text.length - (end - start);
    const last = changes.at(-1);
    if (last === undefined || last.oldTo <= change.oldFrom) changes.push(change);
    else changes[changes.length - 1] = { ...last, oldTo: change.oldTo, newTo: change.newTo };
  }
  return changes;
}

/** Counts the line breaks before offsets, which come in order. */
function lineCounter(text: string): (offset: number) => number {
  let line = 0;
  let from = 0;
  return (offset) => {
    for (let at = text.indexOf("\n", from); at !== -1 && at < offset; at = text.indexOf("\n", from)) {
      line += 1;
      from = at + 1;
    }
    return line;
  };
}

/** Without equal lines at both ends of each change. */
function trimmed(changes: readonly Change[], old: readonly string[], next: readonly string[]): readonly Change[] {
  return changes.flatMap((change) => {
    let { oldFrom, newFrom } = change;
    let oldTo = Math.min(change.oldTo, old.length);
    let newTo = Math.min(change.newTo, next.length);
    for (; oldFrom < oldTo && newFrom < newTo && old[oldFrom] === next[newFrom]; oldFrom += 1) newFrom += 1;
    for (; oldFrom < oldTo && newFrom < newTo && old[oldTo - 1] === next[newTo - 1]; oldTo -= 1) newTo -= 1;
    return oldFrom === oldTo && newFrom === newTo ? [] : [{ oldFrom, oldTo, newFrom, newTo }];
  });
}

/** Changes whose context would meet are one hunk. */
function hunksOf(changes: readonly Change[]): readonly (readonly Change[])[] {
  const hunks: Change[][] = [];
  for (const change of changes) {
    const hunk = hunks.at(-1);
    if (hunk !== undefined && change.oldFrom - (hunk.at(-1)?.oldTo ?? 0) <= 2 * CONTEXT) hunk.push(change);
    else hunks.push([change]);
  }
  return hunks;
}
