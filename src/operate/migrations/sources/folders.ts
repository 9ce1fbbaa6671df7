// Keeps the jobs of a server to the folders that its settings name, also behind links.
import { realpathSync } from "node:fs";
import { isAbsolute, relative } from "node:path";
import { HuiyuanError } from "../../../core/errors.ts";

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
