// Edits the text of a settings file. Comments, order and quoting of all other parts stay as they are.
// It checks no setting, and reads no file.
import { isDeepStrictEqual } from "node:util";
import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, type Node, Pair, parseDocument } from "yaml";
import { HuiyuanError } from "../../core/errors.ts";
import { keyText, LINEAR, readDocument, type SettingsDocument } from "../document.ts";
import { formatPath, type SettingsPath } from "../faults.ts";
import { spliced, splicesOf } from "./splices.ts";

/** Sets the value at a path, removes it if `value` is undefined, or moves an item of a list to the position `to`. */
export interface SettingsEdit {
  readonly path: SettingsPath;
  readonly value?: unknown;
  readonly to?: number | undefined;
}

export interface EditedText {
  /** Both end with a line break. */
  readonly before: string;
  readonly after: string;
  /** `before` and `after`, parsed. */
  readonly documents: { readonly before: Document; readonly after: SettingsDocument };
  /** The text of the file: `after`, without the last line break if the file had none. */
  readonly text: string;
}

/**
 * `text`: YAML without faults. `known`: the parsed text, if the caller has it; it stays as it is. Throws
 * request_invalid for an edit that does not fit the text.
 */
export function editText(text: string, edits: readonly SettingsEdit[], known?: Document): EditedText {
  const isEnded = text === "" || text.endsWith("\n");
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const before = isEnded ? text : text + newline;
  const document = isEnded && known !== undefined ? known : (parseDocument(before, LINEAR) as Document);
  const edited = document.clone();
  for (const edit of edits) applyEdit(edited, edit);
  const wanted = wantedOf(edited);
  const splices = isDeepStrictEqual(wantedOf(document), wanted)
    ? []
    : splicesOf({ text: before, before: document, after: edited });
  const after = spliced(before, splices);
  const written = readDocument(after);
  if (written.document.errors.length > 0 || !isDeepStrictEqual(wantedOf(written.document), wanted))
    throw refused("this form of YAML cannot be edited here without changes to other parts; edit the file by hand");
  const documents = { before: document, after: written };
  return { before, after, documents, text: isEnded ? after : after.slice(0, -newline.length) };
}

function wantedOf(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw refused("an alias would have no anchor any more; edit the file by hand");
  }
}

function applyEdit(document: Document, { path, value, to }: SettingsEdit): void {
  if (!isCollection(document.contents)) document.contents = document.createNode({});
  let owner: Node | null = document.contents;
  for (const [index, part] of path.entries()) {
    const place = formatPath(path.slice(0, index));
    if (isAlias(owner))
      throw refused(`${place} is the alias *${owner.source}; edit its anchor &${owner.source}, or set ${place}`);
    if (!isMap(owner) && !isSeq(owner)) throw refused(`${place} is no mapping and no list`);
    const inner = childOf(owner, part);
    const isLast = index === path.length - 1;
    if (value === undefined && inner === undefined) throw refused(`${formatPath(path)} is not in the file`);
    if (isLast || inner === undefined || (isScalar(inner) && inner.value === null)) {
      setChild(document, owner, part, { value: isLast ? value : nested(path.slice(index + 1), value), to });
      return;
    }
    owner = inner ?? null;
  }
}

function moveItem(owner: Owner, part: string | number, to: number): void {
  const from = Number(part);
  if (!isSeq(owner) || to >= owner.items.length) throw refused(`there is no position ${to} to move the item to`);
  owner.items.splice(to, 0, ...owner.items.splice(from, 1));
}

type Owner = Extract<Node, { items: unknown[] }>;

/** Undefined if there is none. */
function childOf(owner: Owner, part: string | number): Node | null | undefined {
  if (isSeq(owner)) return (owner.items as Node[])[Number(part)];
  return owner.items.find((pair) => keyText(pair as Pair) === String(part))?.value as Node | null | undefined;
}

function setChild(
  document: Document,
  owner: Owner,
  part: string | number,
  { value, to }: Pick<SettingsEdit, "value" | "to">,
): void {
  if (to !== undefined) {
    moveItem(owner, part, to);
    return;
  }
  const old = childOf(owner, part);
  const node = value === undefined ? undefined : document.createNode(value);
  if (node !== undefined && !isAlias(node) && old && "anchor" in old && old.anchor) node.anchor = old.anchor;
  if (isSeq(owner)) {
    const size = owner.items.length;
    if (typeof part !== "number" || part > size)
      throw refused(`found the list position ${JSON.stringify(part)}, wanted a number from 0 to ${size}`);
    owner.items.splice(part, 1, ...(node === undefined ? [] : [node]));
    return;
  }
  const items = owner.items as Pair[];
  const pair = items.find((each) => keyText(each) === String(part));
  if (node === undefined) items.splice(items.indexOf(pair as Pair), 1);
  else if (pair !== undefined) pair.value = node;
  else items.push(new Pair(document.createNode(String(part)), node));
}

/** The value inside the mappings and lists that a path needs. */
function nested(path: SettingsPath, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, part) => (typeof part === "number" ? [inner] : { [part]: inner }), value);
}

/** A request_invalid error, which callers of the admin API see. */
export function refused(why: string, details: { readonly answerStatus?: number } = {}): HuiyuanError {
  return new HuiyuanError("request_invalid", `Cannot edit the settings: ${why}`, details);
}
