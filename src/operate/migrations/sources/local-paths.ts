// Paths of files of this machine: keeps the jobs of a server to the folders that its settings name, also behind links.
// Writes names and errors of the system as the failure texts of a migration: one line, printable.

import { isUtf8 } from "node:buffer";
import { realpathSync } from "node:fs";
import { isAbsolute, relative } from "node:path";
import { getSystemErrorMap } from "node:util";
import { HuiyuanError } from "../../../core/errors.ts";

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

/** Folders that may be read, with all below them. Undefined: whatever the user of the process may read. */
export type Folders = readonly string[] | undefined;

/**
 * Throws request_invalid if the path leads out of the folders, or nowhere: the error is the same. `descriptor`: of the
 * file that was opened by this path. It is checked instead, because the path may lead elsewhere by now (Linux only).
 */
export function assertBelow(path: string | Buffer, folders: Folders, descriptor?: number): void {
  if (folders === undefined) return;
  const isOpened = descriptor !== undefined && process.platform === "linux";
  const real = realOf(isOpened ? `/proc/self/fd/${descriptor}` : path);
  const isBelow = (base: string | undefined) =>
    real !== undefined && base !== undefined && !/^\.\.(\/|$)/.test(relative(base, real));
  if (isAbsolute(String(path)) && folders.map(realOf).some(isBelow)) return;
  const message = `${JSON.stringify(String(path))} is not below a folder of server.migrationFolders, or is a link out of it`;
  throw new HuiyuanError("request_invalid", message, { answerStatus: 403 });
}

function realOf(path: string | Buffer): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined; // It is not there, or may not be read.
  }
}
