// The filters of a migration: which names are left out, how names are rewritten, which failures are not retried. The
// regular expressions are Python's, and run in linear time (RE2), so no expression and no name can make them hang.
import { RE2JS } from "re2js";

/** RE2 would read these otherwise than Python, without a word: a flag holds from its place on there. */
const READ_OTHERWISE = /\{,|(?<!^)\(\?[ims]+\)/;

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
      const [found] = READ_OTHERWISE.exec(expression) ?? [];
      if (found !== undefined) throw new Error(`it has ${found}: write {0, for {, and flags at its beginning`);
      return RE2JS.compile(`${prefix}(?:${expression})`);
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
      faults.push(
        `Option ${name} is no regular expression of RE2, which has no lookarounds and backreferences: ${reason}.`,
      );
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
