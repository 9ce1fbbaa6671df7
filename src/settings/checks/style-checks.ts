// Checks aliases and styles of a bucket: one namespace, no separators in names, valid instructions.
import { HuiyuanError } from "../../core/errors.ts";
import { parseInstruction } from "../../serve/image/grammar/grammar.ts";
import { type Both, say } from "../fault-words.ts";
import type { PathFault } from "../faults.ts";
import { child, faultAt, type PathNode } from "./path-nodes.ts";

/** Separators of every era, and more of Qiniu. */
export const SEPARATORS = ["-", "_", "/", "!"] as const;
export const QINIU_SEPARATORS = [..."~@$^&*()+={}[]|:;\"'<>,"] as const;

/** Every uploaded image is rendered in each style. */
const MAX_STYLES = 100;

/** Every fault of a bucket's aliases and styles. */
export function* styleFaults(bucket: PathNode): Generator<PathFault> {
  const [aliases, styles] = [child(bucket, "aliases"), child(bucket, "styles")];
  const all = [aliases, styles].flatMap((place) =>
    Object.entries(place.value).map(([name, text]) => ({ place, name, text })),
  );
  const separators = Array.isArray(bucket.value.separators) ? bucket.value.separators.map(String) : [];
  if (all.length > 0 && separators.length === 0) yield faultAt(bucket, "separators", say("noSeparator"));
  const styleCount = Object.keys(styles.value).length;
  if (styleCount > MAX_STYLES)
    yield { path: styles.path, at: "key", message: say("manyStyles", { count: styleCount, max: MAX_STYLES }) };
  const { grammarEra } = bucket.value;
  const era = grammarEra === "later" || grammarEra === "qiniu" ? grammarEra : 2015;
  const own = separators.find((separator) => QINIU_SEPARATORS.includes(separator));
  if (own !== undefined && era !== "qiniu")
    yield faultAt(bucket, "separators", say("separatorEra", { separator: own, known: SEPARATORS.join(" ") }));
  for (const { place, name, text } of all) {
    const path = [...place.path, name];
    const separator = separators.find((each) => name.includes(each));
    if (separator !== undefined) yield { path, at: "key", message: say("nameSeparator", { separator }) };
    if (place === styles && Object.hasOwn(aliases.value, name)) yield { path, at: "key", message: say("nameTaken") };
    const message = typeof text === "string" ? instructionFault(text, { era }) : undefined;
    if (message !== undefined) yield { path, message };
  }
}

function instructionFault(text: string, era: Parameters<typeof parseInstruction>[1]): Both | undefined {
  try {
    parseInstruction(text, era);
    return undefined;
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    const what = error.message.replace(/^Cannot process: /, "");
    return say("instruction", { what, parameter: error.parameter ?? JSON.stringify(text.slice(0, 80)) });
  }
}
