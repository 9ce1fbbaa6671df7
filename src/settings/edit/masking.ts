// Hides secrets where settings are shown. Besides the secrets of the schema it hides values at places that the schema
// does not know, because a misspelt key may hold a secret, and comments, because old secrets may stand there.
import { CST, type Document, isAlias, isMap, isScalar, isSeq, Lexer, type Node, type Pair, parseDocument } from "yaml";
import { isMapping } from "../checks/path-nodes.ts";
import { keyText, LINEAR } from "../document.ts";
import type { SettingsPath } from "../faults.ts";
import { MASK } from "../secret.ts";
import { isKnownPath, isSecretPath } from "../setting-paths.ts";
import { type Splice, spliced } from "./splices.ts";

const REFERENCE = /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/;

/** A copy of a tree of settings as it may be shown; `env:NAME` and `file:PATH` stay. */
export function maskedTree(value: unknown, path: SettingsPath = []): unknown {
  if (!isSecretPath(path)) {
    if (Array.isArray(value)) return value.map((item, index) => maskedTree(item, [...path, index]));
    if (isMapping(value))
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskedTree(inner, [...path, key])]));
  }
  return isShown(value, path) ? value : MASK;
}

function isShown(value: unknown, path: SettingsPath): boolean {
  if (value === null) return true;
  if (isSecretPath(path)) return typeof value === "string" && REFERENCE.test(value);
  return isKnownPath(path);
}

/** A text of settings as it may be shown, with the same lines. `document`: the parsed text. */
export function maskedText(text: string, document = parseDocument(text, LINEAR) as Document): string {
  // A comment may be inside of a hidden value.
  const hidden = [...comments(text), ...values(document, text)].toSorted((a, b) => a.start - b.start);
  return spliced(text, hidden);
}

/** Tokens of the lexer that stand for no text. */
const CONTROLS: ReadonlySet<string | null> = new Set(["doc-mode", "flow-error-end", "scalar"]);

function* comments(text: string): Generator<Splice> {
  let start = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (CONTROLS.has(type)) continue;
    const end = start + token.length;
    if (type === "comment" && token.trim() !== "#") yield { start, end, text: "# …" };
    start = end;
  }
}

/** A loop, because a file may be nested deeply. */
function* values(document: Document, text: string): Generator<Splice> {
  const open: { readonly node: Node | null; readonly path: SettingsPath }[] = [
    { node: document.contents as Node | null, path: [] },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, path } = next;
    const isSecret = isSecretPath(path);
    if (isMap(node) && !isSecret)
      for (const pair of node.items as Pair[])
        open.push({ node: pair.value as Node | null, path: [...path, keyText(pair) ?? ""] });
    else if (isSeq(node) && !isSecret)
      for (const [index, item] of node.items.entries()) open.push({ node: item as Node, path: [...path, index] });
    else if (node?.range && !isAlias(node) && !(isScalar(node) && isShown(node.value, path))) {
      const [start, end] = node.range;
      yield { start, end, text: text.slice(start, end).replace(/[^\r\n]+/g, MASK) };
    }
  }
}
