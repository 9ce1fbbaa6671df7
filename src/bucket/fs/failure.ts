// Foreign errors of the disk and of SQLite, translated once into store_full and store_failed.
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";

// QUOTA and FULL mean the same to an operator: nothing more fits.
const FULL_CODES = new Set(["ENOSPC", "EDQUOT", "SQLITE_FULL"]);
const DAMAGED_CODES = /^SQLITE_(CORRUPT|NOTADB)/;

/** `action` completes "Cannot …" and may name a path; a HuiyuanError passes through as it is. */
export function storeFailure(error: unknown, action: string): HuiyuanError {
  if (error instanceof HuiyuanError) return error;
  const found = error instanceof Error ? error.message : String(error);
  const code: ErrorCode = FULL_CODES.has(errorCodeOf(error)) ? "store_full" : "store_failed";
  return new HuiyuanError(code, `Cannot ${action}: ${found}`, { cause: error });
}

/** The code that Node or SQLite gave the error, such as `ENOENT` or `SQLITE_CORRUPT`; empty where there is none. */
export function errorCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** True when SQLite says that the file itself is broken, not the disk or the request. */
export function isDamage(error: unknown): boolean {
  return DAMAGED_CODES.test(errorCodeOf(error));
}
