// Watches the settings file, the files of its secrets and the 404 pages that it names, and reports each change.
// It also reports if the settings file is gone or unreadable. It does not check the settings and does not apply them.
import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { readDocument } from "./document.ts";
import { failureCode, pageFiles, secretFiles } from "./secrets.ts";
import { readSmallFile } from "./small-file.ts";

/** Editors write in several steps, so one check after the last event is enough. Milliseconds. */
const DEBOUNCE_MS = 50;

export interface WatchOptions {
  /** Path of the settings file. */
  readonly file: string;
  /**
   * Called after a change of the content, and when the file becomes unreadable or the reason of that changes. Calls
   * never overlap. Must not reject.
   */
  readonly onChange: () => void | Promise<void>;
  /**
   * Interval of reading the content without an event, in milliseconds, because links and network folders send no
   * events. A file that is unreadable for this long is reported as such.
   */
  readonly pollMs?: number;
  /** Aborting ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the watch has begun. Load the settings afterwards, so that no change between the two is missed. A file
 * that is absent for a moment, as during a replacement, is not reported. Holds one watcher and one timer, and does not
 * keep the process alive.
 */
export async function watchSettings({ file, onChange, pollMs = 2000, signal }: WatchOptions): Promise<void> {
  const readDigest = createDigest(resolve(file));
  let { digest } = await readDigest();
  /** Time of performance.now(); undefined while the file is readable. */
  let unreadableSince: number | undefined;
  if (signal.aborted) return;
  let isChecking = false;
  let isCheckDue = false;

  async function check(): Promise<void> {
    isCheckDue = true;
    if (isChecking) return;
    isChecking = true;
    while (isCheckDue && !signal.aborted) {
      isCheckDue = false;
      const found = await readDigest();
      unreadableSince = found.isReadable ? undefined : (unreadableSince ?? performance.now());
      const isInGrace = unreadableSince !== undefined && performance.now() - unreadableSince < pollMs;
      if (isInGrace || found.digest === digest || signal.aborted) continue;
      digest = found.digest;
      await onChange();
    }
    isChecking = false;
  }

  const events = watchFolder(dirname(resolve(file)), check);
  const timer = setInterval(() => {
    events.ensure();
    void check();
  }, pollMs).unref();
  signal.addEventListener(
    "abort",
    () => {
      clearInterval(timer);
      events.close();
    },
    { once: true },
  );
}

/** Watches the folder, because config maps swap links and editors rename files. */
function watchFolder(folder: string, check: () => Promise<void>) {
  let watcher: FSWatcher | undefined;
  let debounce: NodeJS.Timeout | undefined;
  const onEvent = () => {
    clearTimeout(debounce);
    debounce = setTimeout(() => void check(), DEBOUNCE_MS).unref();
  };
  const drop = () => {
    watcher?.close();
    watcher = undefined;
  };
  /** Watches again after the folder was gone; polling finds changes in between. */
  const ensure = () => {
    if (watcher !== undefined) return;
    try {
      watcher = watch(folder, { persistent: false }, onEvent).on("error", drop);
    } catch {
      // No folder, or the machine has no watches left: polling finds every change too.
    }
  };
  ensure();
  return {
    ensure,
    close() {
      clearTimeout(debounce);
      drop();
    },
  };
}

interface Snapshot {
  /** Digest of all files; if the settings file cannot be read, the error code, such as ENOENT. */
  readonly digest: string;
  readonly isReadable: boolean;
}

/** Returns a function that hashes the settings file, its secret files, and inode, size and time of its pages. */
function createDigest(file: string): () => Promise<Snapshot> {
  let known:
    | { readonly text: string; readonly files: readonly string[]; readonly pages: readonly string[] }
    | undefined;
  return async () => {
    const read = await readSmallFile(file).catch(failureCode);
    if (typeof read === "string") return { digest: read, isReadable: false };
    const text = read.toString("utf8");
    if (known?.text !== text) {
      const { tree } = readDocument(text);
      known = { text, files: secretFiles(tree, dirname(file)), pages: pageFiles(tree, dirname(file)) };
    }
    const hash = createHash("sha256").update(text);
    for (const path of known.files) {
      // Becoming unreadable is a change of a secret, too.
      const secret = await readSmallFile(path).catch(() => undefined);
      hash.update(`\0${secret === undefined ? "absent" : secret.length}\0`).update(secret ?? "");
    }
    for (const path of known.pages) {
      const page = await stat(path).catch(() => undefined);
      hash.update(page === undefined ? "absent" : `${page.ino} ${page.size} ${page.mtimeMs}`).update("\0");
    }
    return { digest: hash.digest("hex"), isReadable: true };
  };
}
