// Evaluates the Range header against a body of known size (RFC 9110 §14). Pure.
import type { ByteRange } from "../../../core/object.ts";

const ONE_RANGE = /^\s*bytes=\s*(\d*)-(\d*)\s*$/i;

/**
 * Undefined: the whole body is served. That is so for another unit, for a malformed range and for several ranges, which
 * RFC 9110 §14.2 lets a server ignore.
 */
export function parseRange(header: string, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = ONE_RANGE.exec(header) ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Number(last);
    return length === 0 || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end: Math.min(end, size - 1) };
}
