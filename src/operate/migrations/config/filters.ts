// The filters of a migration: which names are left out, how names are rewritten, which failures are not retried. The
// regular expressions are Python's, and run in linear time (RE2), so no expression and no name can make them hang.
import { RE2JS } from "re2js";

/** Expressions match from the start of a text, not necessarily to its end, as in the old tool. */
export interface Filters {
  /** The fileid at the target; undefined: the object is left out. */
  rename(fileid: string): string | undefined;
  /** True: a failed job with this log is not retried. */
  isFinal(log: string): boolean;
}

/** `text` returns an option of the config. Adds a sentence to `faults` for each option that cannot be used. */
export function createFilters(text: (name: string) => string | undefined, faults: string[]): Filters {
  const compiled = (name: string, prefix = "^") => {
    const expression = text(name);
    if (expression === undefined) return undefined;
    try {
      return RE2JS.compile(`${prefix}(?:${translated(expression)})`);
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
      faults.push(`Option ${name} is no regular expression of RE2: ${reason}.`);
      return undefined;
    }
  };
  const ignoreIf = compiled("fileid.ignore.if");
  const ignoreUnless = compiled("fileid.ignore.unless");
  const errorIgnoreIf = compiled("error.ignore.if");
  const sub = compiled("sub.pattern", "");
  const subReplace = text("sub.replace");
  if (subReplace !== undefined && text("sub.pattern") === undefined)
    faults.push("Option sub.replace needs sub.pattern.");
  const replacement = replacementOf(subReplace ?? "", sub?.groupCount() ?? 99, faults);
  if (text("fileid.ignore.execute") !== undefined) {
    const instead = "use sub.pattern and sub.replace, fileid.ignore.if and fileid.ignore.unless";
    faults.push(`Option fileid.ignore.execute must be empty: code in a config is never run; ${instead}.`);
  }
  return {
    rename(fileid) {
      if (ignoreIf?.test(fileid) === true || ignoreUnless?.test(fileid) === false) return undefined;
      return sub === undefined ? fileid : sub.matcher(fileid).replaceAll(replacement);
    },
    isFinal: (log) => errorIgnoreIf?.test(log) === true,
  };
}

/** Python's replacement, in which `\1` or `\g<1>` is a group, as RE2JS takes it. */
function replacementOf(text: string, groups: number, faults: string[]): string {
  return text.replace(/\\(?:g<(\d{1,2})>|([1-9]\d?)|g<[^>]*>|.?)|\$/gs, (found, named, digits) => {
    if (found === "$") return "$$";
    if (found === "\\\\") return "\\";
    const group = Number(named ?? digits);
    if (!(group <= groups))
      faults.push(`Option sub.replace has ${found}, but only \\\\ and groups are known, \\1 or \\g<1> to ${groups}.`);
    return group === 0 ? "$&" : `$${String(group).padStart(2, "0")}`;
  });
}

/** The parts in which Python and RE2 may differ. An escape and a class of characters are one part each. */
const PARTS =
  /\\(?:[0-3][0-7]{2}|[1-9]\d?|.)|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:#[^)]*\)|P=|<?[=!]|[a-z]+[):]|[>(])|(?:[*+?]|\{\d*,?\d*\})\+|\{,\d*\}/gis;
/** The beginning of a part that RE2 lacks, its name, and the way on. */
const LACKS: readonly (readonly [form: RegExp, name: string, next: string])[] = [
  [/^\(\?<?[=!]/, "a lookaround", "leave names out by fileid.ignore.if, and choose others by fileid.ignore.unless"],
  [/^\(\?P=|^\\(?:k|[1-9])/, "a backreference", "spell out its alternatives"],
  [/^[*+?{].*\+$/, "a possessive quantifier", "leave out its last +"],
  [/^\(\?>/, "an atomic group", "write (?:…) instead"],
  [/^\(\?\(/, "a conditional", "write both cases with |"],
  [/^\(\?[a-z]*[aLux]/, "a flag", "leave out a, L, u and x; without x, spaces count"],
  [/^\\G/, "the anchor \\G", "leave it out, or write ^"],
];

/** Python's expression in the syntax of RE2. Throws if it has what RE2 lacks. */
function translated(expression: string): string {
  let flags = "";
  const text = expression.replace(PARTS, (found) => {
    const [, name, next] = LACKS.find(([form]) => form.test(found)) ?? [];
    if (name !== undefined) throw new Error(`it has ${name}, \`${found}\`, which RE2 lacks: ${next}`);
    // In Python it holds for the whole expression, wherever it is.
    if (/^\(\?[ims]+\)$/.test(found)) flags += found;
    else if (!found.startsWith("(?#")) return found.replace(/^\\Z$/, "\\z").replace(/^\{,/, "{0,");
    return "";
  });
  return flags + text;
}
