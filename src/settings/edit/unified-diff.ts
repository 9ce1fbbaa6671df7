// Writes the difference of two texts as unified lines. The lines are compared as they are, and shown without secrets.
import { structuredPatch } from "diff/lib/patch/create.js";
import type { EditedText } from "./edit-text.ts";

/** `shown` hides parts of a text, and keeps its line breaks. Empty if nothing changed. */
export function unifiedDiff(
  { before, after, documents }: EditedText,
  shown: (text: string, document: EditedText["documents"]["before"]) => string,
): readonly string[] {
  const [old, next] = [linesOf(shown(before, documents.before)), linesOf(shown(after, documents.after.document))];
  const plain = (text: string) => text.replaceAll("\r\n", "\n");
  const { hunks } = structuredPatch("", "", plain(before), plain(after), "", "", { context: 3 });
  return hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => {
    let [oldAt, newAt] = [oldStart - 1, newStart - 1];
    const place = (start: number, count: number) => `${count === 0 ? start - 1 : start},${count}`;
    return [
      `@@ -${place(oldStart, oldLines)} +${place(newStart, newLines)} @@`,
      ...lines.map(([sign]) => {
        if (sign === "+") return `+${next[newAt++]}`;
        if (sign === " ") newAt += 1;
        return `${sign}${old[oldAt++]}`;
      }),
    ];
  });
}

function linesOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
