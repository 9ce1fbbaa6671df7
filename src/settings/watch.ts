// Follows the settings file, the files of its secrets and the 404 pages that it names, and reports each change.
// It also reports if the settings file is gone or unreadable. It does not check the settings and does not apply them.
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { failureCode } from "./secret.ts";
import { readSmallFile } from "./small-file.ts";

export interface WatchOptions {
  /** Path of the settings file. */
  readonly file: string;
  /**
   * Called after a change of the content, and when the file becomes unreadable or the reason of that changes. Calls
   * never overlap. Must not reject.
   */
  readonly onChange: () => void | Promise<void>;
  /** Absolute paths of the files that a text of the settings names. */
  readonly names: (text: string) => Promise<readonly string[]>;
  /** Interval of reading the files, in milliseconds. */
  readonly pollMs?: number;
  /** Aborting ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the watch has begun. Load the settings afterwards, so that no change between the two is missed. It
 * reads the files at an interval, because links, mounts and network folders send no events. A change is reported once
 * two readings agree, so a half-written file, and one that is absent for a moment, are not. Does not keep the process
 * alive.
 */
export async function watchSettings({ file, onChange, names, pollMs = 400, signal }: WatchOptions): Promise<void> {
  const readDigest = createDigest(resolve(file), names);
  let reported = await readDigest();
  let last = reported;
  const isTime = () => delay(pollMs, true, { ref: false, signal }).catch(() => false); // aborted

  async function follow(): Promise<void> {
    while (await isTime()) {
      const found = await readDigest();
      const isSettled = found === last;
      last = found;
      if (!isSettled || found === reported || signal.aborted) continue;
      reported = found;
      await onChange();
    }
  }
  void follow();
}

/**
 * Returns a function that hashes the settings file and the files that it names. If the settings file cannot be read, it
 * resolves with the error code, such as ENOENT.
 */
function createDigest(file: string, names: WatchOptions["names"]): () => Promise<string> {
  let known: { readonly text: string; readonly files: readonly string[] } | undefined;
  return async () => {
    const read = await readSmallFile(file).catch(failureCode);
    if (typeof read === "string") return read;
    const text = read.toString("utf8");
    if (known?.text !== text) known = { text, files: await names(text) };
    const hash = createHash("sha256").update(text);
    for (const path of known.files) {
      // Becoming unreadable is a change, too.
      const bytes = await readSmallFile(path).catch(() => undefined);
      hash.update(`\0${bytes === undefined ? "absent" : bytes.length}\0`).update(bytes ?? "");
    }
    return hash.digest("hex");
  };
}
