// Notices that the settings, a file that one of their secrets is read from, or a page that they name are other than before,
// or that the settings file is gone or cannot be read. It does not judge the settings and does not apply them.
import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { readDocument } from "./document.ts";
import { failureCode, pageFiles, secretFiles } from "./secrets.ts";
import { readSmallFile } from "./small-file.ts";

/** Editors write in several steps; one look after the last of them is enough. Milliseconds. */
const DEBOUNCE_MS = 50;

export interface WatchOptions {
  /** Path of the settings file. */
  readonly file: string;
  /**
   * Called after a change, also when the file cannot be read, or for another reason than before. Never twice at a time, never
   * for equal content. Must not reject.
   */
  readonly onChange: () => void | Promise<void>;
  /**
   * How often the content is read in any case, in milliseconds: links and network folders send no events. A file that cannot be
   * read for so long is gone, or is no file to be read.
   */
  readonly pollMs?: number;
  /** Aborting ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the watch has begun: what is read afterwards is never older than what the watch compares with, so load
 * the settings after it. A file that vanishes for a moment, as where it is replaced, is waited for. Holds one watcher and one timer, and does not
 * keep the process alive.
 */
export async function watchSettings({ file, onChange, pollMs = 2000, signal }: WatchOptions): Promise<void> {
  const readDigest = createDigest(resolve(file));
  let { digest } = await readDigest();
  /** As performance.now(); undefined while the file can be read. */
  let awaySince: number | undefined;
  if (signal.aborted) return;
  let isLooking = false;
  let isLookDue = false;

  async function look(): Promise<void> {
    isLookDue = true;
    if (isLooking) return;
    isLooking = true;
    while (isLookDue && !signal.aborted) {
      isLookDue = false;
      const found = await readDigest();
      awaySince = found.isReadable ? undefined : (awaySince ?? performance.now());
      const isWaitedFor = awaySince !== undefined && performance.now() - awaySince < pollMs;
      if (isWaitedFor || found.digest === digest || signal.aborted) continue;
      digest = found.digest;
      await onChange();
    }
    isLooking = false;
  }

  const events = watchFolder(dirname(resolve(file)), look);
  const timer = setInterval(() => {
    events.ensure();
    void look();
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

/** Watches the folder and not the file: config maps are links that are swapped, and editors rename. */
function watchFolder(folder: string, look: () => Promise<void>) {
  let watcher: FSWatcher | undefined;
  let debounce: NodeJS.Timeout | undefined;
  const onEvent = () => {
    clearTimeout(debounce);
    debounce = setTimeout(() => void look(), DEBOUNCE_MS).unref();
  };
  const drop = () => {
    watcher?.close();
    watcher = undefined;
  };
  /** Begins again after the folder was gone; the poll does the work in between. */
  const ensure = () => {
    if (watcher !== undefined) return;
    try {
      watcher = watch(folder, { persistent: false }, onEvent).on("error", drop);
    } catch {
      // No folder, or no watches left on this machine: the poll sees every change too.
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

interface Found {
  /** Of all that was read; the reason, ENOENT and the like, where the settings file cannot be read. */
  readonly digest: string;
  readonly isReadable: boolean;
}

/** A function that hashes the settings file, the files of its secrets, and what a look tells of its pages, which are not read. */
function createDigest(file: string): () => Promise<Found> {
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
      // An unreadable secret is content too: a change to or from it must be seen.
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
