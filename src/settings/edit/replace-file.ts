// Replaces the settings file in one step: a reader sees the old bytes or the new ones. Its mode and owner stay, and a
// symbolic link to it stays a link.
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCodeOf, storeFailure } from "../../core/disk-failure.ts";
import { refused } from "./edit-text.ts";

/** Why the file cannot be replaced; undefined if it can. */
export async function readOnlyReason(file: string): Promise<string | undefined> {
  try {
    const target = await realpath(file);
    // A file without write permission is meant to stay, even if its folder would allow to replace it.
    await access(target, constants.W_OK);
    await access(dirname(target), constants.W_OK);
    return undefined;
  } catch (error) {
    return `the settings file or its folder is read-only (${errorCodeOf(error)})`;
  }
}

/** Mounts, permissions and owners: these are no failures of the disk. */
const READ_ONLY: ReadonlySet<string> = new Set(["EACCES", "EBUSY", "EPERM", "EROFS", "EXDEV"]);

/**
 * `isCurrent` is called last before the replacement; if it yields false, nothing happens. Yields whether the file was
 * replaced. Throws request_invalid with 403 if the file cannot be replaced, store_full and store_failed.
 */
export async function replaceFile(file: string, text: string, isCurrent: () => Promise<boolean>): Promise<boolean> {
  let temporary: string | undefined;
  try {
    const target = await realpath(file);
    const { mode, uid, gid } = await stat(target);
    const fresh = `${target}.${randomUUID()}.new`;
    const handle = await open(fresh, "wx", 0o600);
    temporary = fresh; // Removed only if this call has made it.
    try {
      await handle.writeFile(text);
      const own = await handle.stat();
      if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
      await handle.chmod(mode & 0o7777);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const isReplaced = await isCurrent();
    if (isReplaced) await rename(fresh, target);
    await syncFolder(dirname(target));
    return isReplaced;
  } catch (error) {
    const code = errorCodeOf(error);
    if (READ_ONLY.has(code)) throw refused(`the settings file cannot be replaced (${code})`, { answerStatus: 403 });
    throw storeFailure(error, `write "${file}"`);
  } finally {
    if (temporary !== undefined) await rm(temporary, { force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
