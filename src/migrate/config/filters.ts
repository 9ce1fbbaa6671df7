// The filters of a migration: which names are left out, how names are rewritten, which failures are not retried. The
// regular expressions run in linear time (RE2), so no expression and no name can make them hang.
import { RE2JS } from "re2js";

/** Expressions match from the start of a text, not necessarily to its end, as in the old tool. */
export interface Filters {
  /** The fileid at the target; undefined: the object is left out. */
  rename(fileid: string): string | undefined;
  /** True: a failed job with this log is not retried. */
  isFinal(log: string): boolean;
}

/**
 * `text` returns an option of the config; in sub.replace `\1` or `\g<1>` is a group, as in Python. Adds a sentence to
 * `faults` for each option that cannot be used.
 */
export function createFilters(text: (name: string) => string | undefined, faults: string[]): Filters {
  const compiled = (name: string, prefix = "^") => {
    const expression = text(name);
    if (expression === undefined) return undefined;
    try {
      return RE2JS.compile(`${prefix}(?:${expression})`);
    } catch (error) {
      faults.push(`Option ${name} is no regular expression of RE2: ${reasonOf(expression, error)}.`);
      return undefined;
    }
  };
  const ignoreIf = compiled("fileid.ignore.if");
  const ignoreUnless = compiled("fileid.ignore.unless");
  const errorIgnoreIf = compiled("error.ignore.if");
  const sub = compiled("sub.pattern", "");
  const subReplace = text("sub.replace");
  const replacement = replacementOf(subReplace ?? "");
  if (subReplace !== undefined && text("sub.pattern") === undefined)
    faults.push("Option sub.replace needs sub.pattern.");
  const groups = sub?.groupCount() ?? 99;
  if (groupsIn(subReplace).some((group) => group > groups))
    faults.push(`Option sub.replace names a group that sub.pattern does not have: it has ${groups}.`);
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

const GROUPS = /\\g<(\d{1,2})>|\\(\d{1,2})|\\(.)/g;

function groupsIn(text = ""): readonly number[] {
  return [...text.matchAll(GROUPS)].map(([, named, digits]) => Number(named ?? digits ?? 0));
}

/** A function that writes Python's replacement for one match, from the match and its groups. */
function replacementOf(text: string): (...groups: (string | undefined)[]) => string {
  return (...groups) =>
    text.replace(GROUPS, (_whole, named, digits, literal) =>
      literal === undefined ? (groups[Number(named ?? digits)] ?? "") : literal,
    );
}

function reasonOf(text: string, error: unknown): string {
  const [lookaround] = /\(\?<?[=!]/.exec(text.replace(/\\./gs, "")) ?? [];
  if (lookaround !== undefined) return `it has a lookaround, \`${lookaround}\`, which cannot run in linear time`;
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
}
