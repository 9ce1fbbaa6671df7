// Translates errors of the disk and of SQLite once into store_full and store_failed.
import { type ErrorCode, HuiyuanError } from "./errors.ts";

// A quota and a full disk mean the same to an operator: there is no space left.
const FULL_CODES = new Set(["ENOSPC", "EDQUOT", "SQLITE_FULL"]);
const SQLITE_CODES = new Map([
  [1, "SQLITE_ERROR"],
  [5, "SQLITE_BUSY"],
  [11, "SQLITE_CORRUPT"],
  [13, "SQLITE_FULL"],
  [26, "SQLITE_NOTADB"],
]);
const DAMAGED_CODES = /^SQLITE_(CORRUPT|NOTADB)/;

/** `action` completes "Cannot …" and may name a path. A HuiyuanError is returned unchanged. */
export function storeFailure(error: unknown, action: string): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  const found = error instanceof Error ? error.message : String(error);
  const code: ErrorCode = FULL_CODES.has(errorCodeOf(error)) ? "store_full" : "store_failed";
  return new HuiyuanError(code, `Cannot ${action}: ${found}`, { cause: error });
}

/** The code that Node or SQLite gave the error, such as `ENOENT` or `SQLITE_CORRUPT`; empty if it has none. */
export function errorCodeOf(error: unknown): string {
  // node:sqlite gives a number, whose low byte is the primary result code (sqlite.org/rescode.html).
  if (error instanceof Error && "errcode" in error) return SQLITE_CODES.get(Number(error.errcode) & 0xff) ?? "SQLITE";
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** True if SQLite reports that the file itself is broken, rather than the disk or the request. */
export function isDamage(error: unknown): boolean {
  return DAMAGED_CODES.test(errorCodeOf(error));
}
