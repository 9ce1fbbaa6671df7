// Compares two trees of one YAML text, before and after edits, and finds the least pieces of the text to replace.
// Comments, order and quoting of all other parts stay. edit-text.ts checks the result, because rare forms of YAML fail.
import { isDeepStrictEqual } from "node:util";
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  type Node,
  Scalar,
  stringify,
  type YAMLMap,
} from "yaml";
import { keyText } from "../document.ts";

/** The text between two offsets is replaced by `text`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** `splices`: in the order of the text. One that begins inside of another has no effect. */
export function spliced(text: string, splices: readonly Splice[]): string {
  let end = 0;
  const parts = splices.map((splice) => {
    if (splice.start < end) return "";
    const part = text.slice(end, splice.start) + splice.text;
    end = splice.end;
    return part;
  });
  return parts.join("") + text.slice(end);
}

/** `text` ends with a line break. `after`: a second tree of it, with edits. */
export interface Trees {
  readonly text: string;
  readonly before: Document;
  readonly after: Document;
}

/** A pair of a mapping, or an item of a list, which has no key. */
interface Item {
  readonly key: Node | undefined;
  readonly name: string | undefined;
  readonly value: Node;
}

/** Without `after` the item was removed, without `before` it was added. */
interface Entry {
  readonly before: Item | undefined;
  readonly after: Item | undefined;
}

type Collection = Extract<Node, { items: unknown[] }>;

/** The number of items among which the search for a moved one ends. */
const SEARCHED = 20;
const STYLE = { lineWidth: 0, blockQuote: false, aliasDuplicateObjects: false } as const;

/** In the order of the text; none overlaps another. */
export function splicesOf(trees: Trees): readonly Splice[] {
  const { text, before, after } = trees;
  const [old, next] = [before.contents, after.contents] as (Node | null)[];
  if (!isCollection(old)) return [{ start: text.length, end: text.length, text: block(after.toJS(), 0, text) }];
  const splices = inside(trees, old, next ?? null) ?? [inPlace(trees, old, after.toJS())];
  return splices.toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** Undefined if nothing of the old value stays. */
function inside(trees: Trees, before: Node, after: Node | null): readonly Splice[] | undefined {
  if (isSame(trees, before, after)) return [];
  if (!isCollection(before) || !isCollection(after) || isMap(before) !== isMap(after)) return undefined;
  const [old, next] = [itemsOf(before), itemsOf(after)];
  const entries = isMap(before) ? pairEntries(old, next) : listEntries(trees, old, next);
  if (!entries.some((entry) => entry.before !== undefined && entry.after !== undefined)) return undefined;
  return entrySplices(trees, before, entries);
}

function isSame({ before, after }: Trees, a: Node | null, b: Node | null): boolean {
  if (isAlias(a) || isAlias(b)) return isAlias(a) && isAlias(b) && a.source === b.source;
  return isDeepStrictEqual(a?.toJS(before), b?.toJS(after));
}

function itemsOf(collection: Collection): readonly Item[] {
  if (!isMap(collection))
    return (collection.items as Node[]).map((value) => ({ key: undefined, name: undefined, value }));
  return (collection as YAMLMap<Node, Node | null>).items.map((pair) => ({
    key: pair.key,
    name: keyText(pair),
    value: pair.value ?? new Scalar(null),
  }));
}

function pairEntries(before: readonly Item[], after: readonly Item[]): readonly Entry[] {
  const next = new Map(after.map((item) => [item.name, item]));
  const kept = before.map((item) => ({ before: item, after: next.get(item.name) }));
  const old = new Set(before.map(({ name }) => name));
  const added = after.filter(({ name }) => !old.has(name));
  return [...kept, ...added.map((item) => ({ before: undefined, after: item }))];
}

/** Items that are the same stay. Those between them are changed one by one, and the rest is removed or added. */
function listEntries(trees: Trees, before: readonly Item[], after: readonly Item[]): readonly Entry[] {
  const entries: Entry[] = [];
  const unmatched: Item[] = [];
  let next = 0;
  const flush = (until: number) => {
    while (next < until || unmatched.length > 0)
      entries.push({ before: next < until ? before[next++] : undefined, after: unmatched.shift() });
  };
  for (const item of after) {
    const { range } = item.value;
    const isMatch = ({ value }: Item) => (range ? range[0] === value.range?.[0] : isSame(trees, value, item.value));
    const found = before.slice(next, next + SEARCHED).findIndex(isMatch);
    if (found === -1) {
      unmatched.push(item);
      continue;
    }
    const index = next + found;
    flush(index);
    entries.push({ before: before[index], after: item });
    next = index + 1;
  }
  flush(before.length);
  return entries;
}

function entrySplices(trees: Trees, owner: Collection, entries: readonly Entry[]): readonly Splice[] {
  const { text } = trees;
  const old = entries.flatMap(({ before }) => before ?? []);
  const first = startOf(text, owner, old[0]);
  const splices: Splice[] = [];
  let kept: Item | undefined;
  for (const { before, after } of entries) {
    if (before === undefined) {
      const value = after?.value.toJS(trees.after);
      const wrapped = after?.name === undefined ? [value] : { [after.name]: value };
      const moved = old.find((item) => item.value.range?.[0] === after?.value.range?.[0]);
      if (owner.flow) splices.push(addedInFlow(text, { kept, first }, wrapped));
      else
        splices.push(
          added(text, { kept, first }, moved ? linesOf(text, owner, moved) : block(wrapped, column(text, first), text)),
        );
    } else if (after === undefined) splices.push(removed(text, owner, old, { item: before, kept }));
    else {
      const changed = inside(trees, before.value, after.value);
      splices.push(...(changed ?? replaced(trees, owner, before, after.value.toJS(trees.after))));
      kept = before;
    }
  }
  return splices;
}

/** `kept`: the last item before it that stays. */
function removed(
  text: string,
  owner: Collection,
  items: readonly Item[],
  { item, kept }: { readonly item: Item; readonly kept: Item | undefined },
): Splice {
  const index = items.indexOf(item);
  const start = startOf(text, owner, item);
  const first = startOf(text, owner, items[0]);
  // The dash of a list may stand before the first key of a mapping.
  const isInline = owner.flow === true || text.slice(lineStart(text, first), first).trim() !== "";
  if (kept === undefined && isInline) return { start, end: startOf(text, owner, items[index + 1]), text: "" };
  if (owner.flow) return { start: endOf(text, items[index - 1]), end: endOf(text, item), text: "" };
  return { start: lineStart(text, start), end: nextLine(text, endOf(text, item)), text: "" };
}

interface Place {
  readonly kept: Item | undefined;
  /** The offset of the first item. */
  readonly first: number;
}

function added(text: string, { kept, first }: Place, lines: string): Splice {
  const at = kept === undefined ? lineStart(text, first) : nextLine(text, endOf(text, kept));
  return { start: at, end: at, text: lines };
}

/** The lines of an item with the comments in them, for its new place. */
function linesOf(text: string, owner: Collection, item: Item): string {
  return text.slice(lineStart(text, startOf(text, owner, item)), nextLine(text, endOf(text, item)));
}

function addedInFlow(text: string, { kept, first }: Place, wrapped: object): Splice {
  const inner = stringify(wrapped, { ...STYLE, collectionStyle: "flow" })
    .trim()
    .slice(2, -2);
  const at = kept === undefined ? first : endOf(text, kept);
  return { start: at, end: at, text: kept === undefined ? `${inner}, ` : `, ${inner}` };
}

/** Replaces the whole value of an item. */
function replaced(trees: Trees, owner: Collection, { key, value, name }: Item, next: unknown): readonly Splice[] {
  const { text } = trees;
  const [start, end] = value.range ?? [0, 0];
  const isBlock = isCollection(value) ? value.flow !== true : /^[|>]/.test(text.slice(start, end));
  if (owner.flow === true || (!isBlock && isInline(next))) {
    const inline = inlineText(next, value, owner.flow === true);
    return [{ start, end, text: start === end ? ` ${inline}` : inline }];
  }
  if (key === undefined || (isCollection(value) && isBlock && !isInline(next))) return [inPlace(trees, value, next)];
  const keyStart = key.range?.[0] ?? 0;
  if (isBlock)
    return [{ start: keyStart, end: endOf(text, { value }), text: unindented({ [name ?? ""]: next }, keyStart, text) }];
  // The comment behind the old value stays behind the key.
  const at = nextLine(text, end);
  return [
    { start: text[start - 1] === " " && end > start ? start - 1 : start, end, text: "" },
    { start: at, end: at, text: block(next, column(text, keyStart) + 2, text) },
  ];
}

function inPlace({ text }: Trees, value: Node, next: unknown): Splice {
  const start = value.range?.[0] ?? 0;
  return { start, end: endOf(text, { value }), text: unindented(next, start, text) };
}

function isInline(value: unknown): boolean {
  return typeof value !== "object" || value === null || Object.keys(value).length === 0;
}

/** The value on one line, quoted as the old one. */
function inlineText(value: unknown, old: Node, isFlow: boolean): string {
  const node = new Scalar(value);
  const isText = typeof value === "string" && isScalar(old) && typeof old.value === "string";
  if (isText && old.type?.startsWith("QUOTE")) node.type = old.type;
  const given = typeof value === "object" ? value : node;
  if (isFlow)
    return stringify([given], { ...STYLE, collectionStyle: "flow" })
      .trim()
      .slice(2, -2);
  return stringify([given], STYLE).trim().slice(2);
}

/** Whole lines, at a column. */
function block(value: unknown, at: number, text: string): string {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = stringify(value, STYLE).trimEnd().split("\n");
  return lines.map((line) => `${" ".repeat(at)}${line}${newline}`).join("");
}

/** As block(), for text that begins at an offset of its line and ends within one. */
function unindented(value: unknown, start: number, text: string): string {
  return block(value, column(text, start), text).trim();
}

function startOf(text: string, owner: Collection, item: Item | undefined): number {
  const start = item?.key?.range?.[0] ?? item?.value.range?.[0] ?? 0;
  if (isMap(owner) || owner.flow === true) return start;
  // Every dash of a list stands in the same column; comments may stand between it and its item.
  const dash = column(text, owner.range?.[0] ?? 0);
  let line = lineStart(text, start);
  while (line > 0 && text[line + dash] !== "-") line = lineStart(text, line - 1);
  return line + dash;
}

/** The end of its last line that holds more than comments. */
function endOf(text: string, item: Pick<Item, "value"> | undefined): number {
  const value = item?.value;
  if (isCollection(value) && value.flow !== true && value.items.length > 0)
    return endOf(text, itemsOf(value as Collection).at(-1));
  let end = value?.range?.[1] ?? 0;
  while (/[\r\n]/.test(text[end - 1] ?? "")) end -= 1;
  return end;
}

const lineStart = (text: string, offset: number) => text.lastIndexOf("\n", offset - 1) + 1;
const nextLine = (text: string, offset: number) => text.indexOf("\n", offset) + 1;
const column = (text: string, offset: number) => offset - lineStart(text, offset);
