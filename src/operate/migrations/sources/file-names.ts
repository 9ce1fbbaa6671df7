// Writes file names and errors of the system as the failure texts of a migration: one line, printable.
import { isUtf8 } from "node:buffer";
import { getSystemErrorMap } from "node:util";

const ESCAPED = /[\\\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A name that may be no UTF-8: other bytes, control characters and backslashes become `\x..`. */
export function escapedName(name: Buffer): string {
  if (isUtf8(name)) return name.toString().replace(ESCAPED, (character) => bytesOf(Buffer.from(character)));
  return [...name]
    .map((byte) => (byte > 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : bytesOf([byte])))
    .join("");
}

function bytesOf(bytes: Iterable<number>): string {
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

/** As the old tool writes it: `[Errno 2] No such file or directory: '<path>'`. */
export function errnoText(error: unknown, path: string): string {
  const { errno } = error as NodeJS.ErrnoException;
  const text = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  if (errno === undefined || text === undefined) return error instanceof Error ? error.message : String(error);
  return `[Errno ${-errno}] ${text[0]?.toUpperCase()}${text.slice(1)}: '${path}'`;
}
