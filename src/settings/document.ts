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
  const problems = [...document.errors, ...document.warnings];
  const faults: Fault[] = problems.map((error) => ({ path: "", ...place(error.pos[0]), message: describe(error) }));
  const { aliases, keys } = unusableNodes(document);
  for (const offset of aliases)
    faults.push({ path: "", ...place(offset), message: "no anchor of this name precedes the alias" });
  // A file with duplicate keys can still be checked as a whole; a file with broken syntax cannot.
  const isUsable = faults.length === 0;
  for (const offset of keys)
    faults.push({ path: "", ...place(offset), message: "this key is repeated in the same mapping" });
  const tree = isUsable ? plainTree(document, faults) : undefined;
  return {
    document,
    tree,
    faults: isUsable ? faults : withoutEchoes(faults),
    locate: ({ path, message, at }) => ({
      path: formatPath(path),
      ...place(offsetOf(document, path, at ?? "value")),
      message,
    }),
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
    faults.push({ path: "", line: 1, column: 1, message: `found too many aliases, wanted at most ${MAX_ALIASES}` });
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

// Own messages, because those of the parser may quote the text, which may be a secret.
const SYNTAX: Readonly<Partial<Record<YAMLError["code"], string>>> = {
  BAD_ALIAS: "an anchor or alias has no usable name",
  BAD_DQ_ESCAPE: "an escape in \"…\" is not valid; use '…' for text with backslashes",
  BAD_INDENT: "the indentation does not fit the lines around it",
  BAD_SCALAR_START: "this character cannot begin a value; put the value in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a colon inside a value; put the value in quotes",
  BLOCK_IN_FLOW: "a block is not allowed inside {…} or […]",
  MISSING_CHAR: "a character is missing here: a colon after a key, a comma, or a closing quote or bracket",
  MULTILINE_IMPLICIT_KEY: "a colon is missing after this key",
  MULTIPLE_DOCS: "a second document begins here, wanted one",
  RESOURCE_EXHAUSTION: "the nesting is too deep",
  TAB_AS_INDENT: "tabs cannot indent, use spaces",
  TAG_RESOLVE_FAILED: "tags (!name) are not used in settings; put a value that begins with ! in quotes",
};

/** The parser's messages for a list item or key that is indented otherwise than those above it. */
const INDENTED = /^(A block sequence may not be used as an implicit map key|Sequence item without - indicator)/;

function describe(error: YAMLError): string {
  return SYNTAX[INDENTED.test(error.message) ? "BAD_INDENT" : error.code] ?? "this is not valid YAML";
}
