// Notices that the settings, or a file that one of their secrets is read from, have other content than before. It does
// not judge the settings and does not apply them.
import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { readDocument } from "./document.ts";
import { secretFiles } from "./secrets.ts";
import { readSmallFile } from "./small-file.ts";

/** Editors write in several steps; one look after the last of them is enough. Milliseconds. */
const DEBOUNCE_MS = 50;

export interface WatchOptions {
  /** Path of the settings file. */
  readonly file: string;
  /** Called after a change, never twice at a time, never for equal content. Must not reject. */
  readonly onChange: () => void | Promise<void>;
  /** How often the content is read in any case, in milliseconds: links and network folders send no events. */
  readonly pollMs?: number;
  /** Aborting ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the watch has begun: what is read afterwards is never older than what the watch compares with, so load
 * the settings after it. A file that vanishes for a moment is waited for. Holds one watcher and one timer, and does not
 * keep the process alive.
 */
export async function watchSettings({ file, onChange, pollMs = 2000, signal }: WatchOptions): Promise<void> {
  const readDigest = createDigest(resolve(file));
  let digest = await readDigest();
  if (signal.aborted) return;
  let isLooking = false;
  let isLookDue = false;

  async function look(): Promise<void> {
    isLookDue = true;
    if (isLooking) return;
    isLooking = true;
    while (isLookDue && !signal.aborted) {
      isLookDue = false;
      const next = await readDigest();
      if (next === undefined || next === digest || signal.aborted) continue;
      digest = next;
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

/** A function that hashes the settings file and the files of its secrets; undefined while the file cannot be read. */
function createDigest(file: string): () => Promise<string | undefined> {
  let known: { readonly text: string; readonly files: readonly string[] } | undefined;
  return async () => {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) return undefined;
    if (known?.text !== text) known = { text, files: secretFiles(readDocument(text).tree, dirname(file)) };
    const hash = createHash("sha256").update(text);
    for (const path of known.files) {
      // An unreadable secret is content too: a change to or from it must be seen.
      const secret = await readSmallFile(path).catch(() => undefined);
      hash.update(`\0${secret === undefined ? "absent" : secret.length}\0`).update(secret ?? "");
    }
    return hash.digest("hex");
  };
}
