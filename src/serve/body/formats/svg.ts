// Scans SVG as a run of tags: finds the root element, and its end tag by counting open elements. It reads neither
// attributes nor entities, so nothing is expanded or fetched.
import type { Findings, Input, Scan } from "./scan.ts";

const [TAB, LINE_FEED, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const [BANG, QUOTE, APOSTROPHE, SLASH, LESS, MORE, QUESTION, OPENING, CLOSING] = Buffer.from("!\"'/<>?[]", "latin1");
const DASH = 0x2d;
const BOM = 0xef;
/** Bytes of the name of a root element. A longer name is none of `svg`. */
const MAX_NAME_BYTES = 128;
/** A document may name the namespace of SVG, as in `<ns0:svg>`. */
const SVG_NAME = /^([^:]+:)?svg$/;

/** A step that reads some bytes and returns a value. */
type Reading<Value> = Generator<undefined, Value, undefined>;

/** Complete at the end tag of a root element `svg`. `isSvg` is known at the name of the root element. */
export function* scanSvg(findings: Findings, input: Input): Scan {
  const root = yield* findRoot(input);
  findings.isSvg = SVG_NAME.test(root);
  if (!findings.isSvg) return;
  const isEmpty = yield* skipTag(input, input.byte(0));
  if (!isEmpty) yield* skipContent(input);
  if (!isEmpty && (yield* readName(input, yield* readByte(input))) !== root) return;
  yield* skipTag(input, input.byte(0));
  findings.structure = "complete";
}

/** Skips to the `</` that ends the element. */
function* skipContent(input: Input): Scan {
  for (let depth = 1; ; ) {
    while (!input.find(nextLess, 2)) yield;
    const first = input.byte(1);
    if (first === QUESTION) yield* skipPast(input, "?>");
    else if (first === BANG) yield* skipDeclaration(input);
    else if (first !== SLASH) depth += (yield* skipTag(input, first)) ? 0 : 1;
    else {
      depth -= 1;
      if (depth === 0) return;
      while (!input.find(nextMore, 1)) yield;
    }
  }
}

function* readByte(input: Input): Reading<number> {
  while (!input.take(1)) yield;
  return input.byte(0);
}

/** Returns the name of the root element, and leaves the byte behind it as the last one read. Empty: there is none. */
function* findRoot(input: Input): Reading<string> {
  let next = yield* readByte(input);
  if (next === BOM) {
    input.skip(2); // sniff() has seen the other two bytes of the mark.
    next = yield* readByte(input);
  }
  for (; ; next = yield* readByte(input)) {
    if (isBlank(next)) continue;
    if (next !== LESS) return "";
    const first = yield* readByte(input);
    if (first === QUESTION) yield* skipPast(input, "?>");
    else if (first === BANG) yield* skipDeclaration(input);
    else return yield* readName(input, first);
  }
}

/** Reads a name from its first byte to the byte behind it, which is then the last one read. Empty: it is too long. */
function* readName(input: Input, first: number): Reading<string> {
  let name = "";
  for (let byte = first; !isBlank(byte) && byte !== SLASH && byte !== MORE; byte = yield* readByte(input)) {
    if (name.length === MAX_NAME_BYTES) return "";
    name += String.fromCharCode(byte);
  }
  return name;
}

/** Skips to the end of a tag; `last` is the last byte read. Returns true if the tag ends its element. */
function* skipTag(input: Input, last: number): Reading<boolean> {
  let before = 0;
  for (let byte = last; byte !== MORE; byte = input.byte(0)) {
    if (byte === QUOTE || byte === APOSTROPHE) yield* skipQuoted(input, byte);
    before = byte;
    while (!input.take(1)) yield;
  }
  return before === SLASH;
}

function* skipQuoted(input: Input, quote: number): Scan {
  const search = quote === QUOTE ? nextQuote : nextApostrophe;
  while (!input.find(search, 1)) yield;
}

/** Skips a comment, a CDATA section, or a DOCTYPE with its internal subset, after `<!`. */
function* skipDeclaration(input: Input): Scan {
  let isSubset = false;
  let next = yield* readByte(input);
  if (next === DASH) return yield* skipPast(input, "-->");
  if (next === OPENING) return yield* skipPast(input, "]]>");
  for (; next !== MORE || isSubset; next = yield* readByte(input)) {
    if (next === OPENING) isSubset = true;
    else if (next === CLOSING) isSubset = false;
    else if (next === LESS) yield* skipNote(input);
    else if (next === QUOTE || next === APOSTROPHE) yield* skipQuoted(input, next);
  }
}

/** Skips a comment or an instruction of a subset, in which quotes and brackets have no meaning. */
function* skipNote(input: Input): Scan {
  const first = yield* readByte(input);
  if (first === QUESTION) yield* skipPast(input, "?>");
  else if (first === BANG && (yield* readByte(input)) === DASH) yield* skipPast(input, "-->");
}

function* skipPast(input: Input, end: "?>" | "-->" | "]]>"): Scan {
  const wanted = Buffer.from(end, "latin1").readUIntBE(0, end.length);
  const mask = end.length === 2 ? 0xffff : 0xffffff;
  let last = 0;
  while (last !== wanted) {
    while (!input.take(1)) yield;
    last = ((last << 8) | input.byte(0)) & mask;
  }
}

const nextLess = (chunk: Buffer, from: number) => chunk.indexOf(0x3c, from);
const nextMore = (chunk: Buffer, from: number) => chunk.indexOf(0x3e, from);
const nextQuote = (chunk: Buffer, from: number) => chunk.indexOf(0x22, from);
const nextApostrophe = (chunk: Buffer, from: number) => chunk.indexOf(0x27, from);

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === RETURN || byte === TAB;
}
