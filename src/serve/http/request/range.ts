// Evaluates the Range header against a body of known size (RFC 9110 §14). Pure.
import type { ByteRange } from "../../../core/object.ts";

export type RangeSet =
  | { readonly kind: "unsatisfiable" }
  /** One or more, in the order of the header, without overlaps. */
  | { readonly kind: "ranges"; readonly ranges: readonly ByteRange[] };

const MAX_RANGES = 16;
const SPEC = /^(\d*)-(\d*)$/;

/**
 * Undefined: the whole body is served. That is so for another unit, for a malformed set (RFC 9110 §14.2 lets a server
 * ignore it), for more than 16 ranges, for overlapping ones, and for a set that adds up to the whole. Requests for the
 * same bytes many times are attacks.
 */
export function parseRange(header: string, size: number): RangeSet | undefined {
  const set = /^bytes=(.*)$/i.exec(header.trim())?.[1];
  if (set === undefined || set.length > 512) return undefined;
  const specs = set
    .split(",")
    .map((spec) => spec.trim())
    .filter((spec) => spec !== "");
  if (specs.length === 0 || specs.length > MAX_RANGES) return undefined;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseSpec(spec, size);
    if (range === "malformed") return undefined;
    if (range !== "outside") ranges.push(range);
  }
  if (ranges.length === 0) return { kind: "unsatisfiable" };
  return ranges.length > 1 && isWasteful(ranges, size) ? undefined : { kind: "ranges", ranges };
}

function parseSpec(spec: string, size: number): ByteRange | "malformed" | "outside" {
  const [, first = "", last = ""] = SPEC.exec(spec) ?? [];
  if (first === "" && last === "") return "malformed";
  if (first === "") {
    const length = Number(last);
    return length === 0 || size === 0 ? "outside" : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return "malformed";
  return start >= size ? "outside" : { start, end: Math.min(end, size - 1) };
}

function isWasteful(ranges: readonly ByteRange[], size: number): boolean {
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  const total = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  return total >= size || sorted.some((range, index) => index > 0 && range.start <= (sorted[index - 1]?.end ?? -1));
}
