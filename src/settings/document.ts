// Parses the YAML of a settings file into a tree of plain values, with the line and column of each.
// It knows no setting.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import { type Both, SYNTAX, say } from "./fault-words.ts";
import { type Fault, formatPath, type PathFault, type SettingsPath } from "./faults.ts";

const MAX_ALIASES = 100;

/** The parser compares each key of a mapping with all others; readDocument() finds repeated keys faster. */
export const LINEAR = { uniqueKeys: false } as const;

const MAX_SYNTAX_FAULTS = 10;

/** A parsed settings file. */
export interface SettingsDocument {
  /** As the parser returns it. */
  readonly document: Document;
  /** Mappings, lists and scalars; undefined if the text cannot be parsed. */
  readonly tree: unknown;
  /** Faults of the YAML itself: syntax, duplicate keys, aliases. */
  readonly faults: readonly Fault[];
  /** Adds the position to a fault: its own, or that of the nearest existing mapping or list. */
  locate(fault: PathFault): Fault;
}

/** Never throws; `faults` has everything that is wrong. */
export function readDocument(text: string): SettingsDocument {
  const lines = new LineCounter();
  const document: Document = parseDocument(text, { lineCounter: lines, prettyErrors: false, ...LINEAR });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faultOf = (path: SettingsPath, offset: number, { en, zh }: Both): Fault => ({
    ...{ path: formatPath(path), ...place(offset) },
    ...{ message: en, zh },
  });
  const problems = [...document.errors, ...document.warnings];
  const faults: Fault[] = problems.map((error) => faultOf([], error.pos[0], describe(error)));
  const { aliases, keys } = unusableNodes(document);
  for (const offset of aliases) faults.push(faultOf([], offset, say("noAnchor")));
  // A file with duplicate keys can still be checked as a whole; a file with broken syntax cannot.
  const isUsable = faults.length === 0;
  for (const offset of keys) faults.push(faultOf([], offset, say("repeatedKey")));
  const tree = isUsable ? plainTree(document, faults) : undefined;
  return {
    document,
    tree,
    faults: isUsable ? faults : withoutEchoes(faults),
    locate: ({ path, message, at }) => faultOf(path, offsetOf(document, path, at ?? "value"), message),
  };
}

/** One mistake causes many parser errors, so this returns the first of each line, at most MAX_SYNTAX_FAULTS. */
function withoutEchoes(faults: readonly Fault[]): readonly Fault[] {
  const lines = new Set<number>();
  const firsts = faults.filter(({ line }) => !lines.has(line) && lines.add(line));
  return firsts.slice(0, MAX_SYNTAX_FAULTS);
}

function plainTree(document: Document, faults: Fault[]): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const { en, zh } = say("manyAliases", { max: MAX_ALIASES });
    faults.push({ path: "", line: 1, column: 1, message: en, zh });
    return undefined;
  }
}

/** The offsets of aliases without an anchor, and of repeated keys. */
function unusableNodes(document: Document): { readonly aliases: readonly number[]; readonly keys: readonly number[] } {
  const [aliases, keys]: [number[], number[]] = [[], []];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) aliases.push(alias.range?.[0] ?? 0);
    },
    Map(_, { items }) {
      const known = new Set<unknown>();
      for (const { key } of items)
        if (isScalar(key) && known.size === known.add(key.value).size) keys.push(key.range?.[0] ?? 0);
    },
  });
  return { aliases, keys };
}

function offsetOf(document: Document, path: SettingsPath, at: "key" | "value"): number {
  let node = document.contents as Node | null;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, part] of path.entries()) {
    const isLast = index === path.length - 1;
    const step: Step | undefined = stepInto(target(document, node), part);
    if (step === undefined) return offset;
    // Collections and empty values are located by their key, because the text of a collection begins a line later.
    const isValueBetter = isLast && at === "value" && !isCollection(step.value) && !isEmpty(step.value);
    offset = (isValueBetter ? step.value?.range?.[0] : step.keyOffset) ?? offset;
    node = step.value;
  }
  return offset;
}

interface Step {
  readonly value: Node | null;
  readonly keyOffset: number | undefined;
}

function stepInto(node: Node | null, part: string | number): Step | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(part)] as Node | undefined;
    return item === undefined ? undefined : { value: item, keyOffset: item?.range?.[0] };
  }
  if (!isMap(node)) return undefined;
  // The last one wins if a key is repeated.
  const pair = node.items.findLast((item) => keyText(item) === String(part)) as Pair<Node, Node | null> | undefined;
  return pair === undefined ? undefined : { value: pair.value, keyOffset: pair.key.range?.[0] };
}

/** The key of a pair as a text; undefined for a key that is no single value. */
export function keyText(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

function target(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

/** The parser's messages for a list item or key that is indented otherwise than those above it. */
const INDENTED = /^(A block sequence may not be used as an implicit map key|Sequence item without - indicator)/;

function describe(error: YAMLError): Both {
  return SYNTAX[INDENTED.test(error.message) ? "BAD_INDENT" : error.code] ?? say("notYaml");
}
