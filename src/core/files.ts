// The few asynchronous file operations of the store. They use raw descriptors, because a FileHandle costs several times
// as much per operation and every miss pays for it.
import { close, closeSync, fsync, fsyncSync, open, openSync, read, unlink, write } from "node:fs";
import { promisify } from "node:util";

const readBytes = promisify(read);
const writeBytes = promisify(write);
const sync = promisify(fsync);

/** `flags` as for `fs.open`. The caller closes the descriptor. */
export const openFile = (path: string, flags: string) => promisify(open)(path, flags, 0o600);

/**
 * Fills `target` from `position` on. Returns the bytes read; fewer than `target.length` only at the end of the file.
 */
export async function readInto(descriptor: number, target: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await readBytes(descriptor, target, filled, target.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Creates a new file with these bytes and syncs it. Throws if the file exists. Leaves no file behind if it throws. */
export async function writeSyncedFile(path: string, bytes: Buffer): Promise<void> {
  await openAndSync(path, "wx", async (descriptor) => {
    for (let at = 0; at < bytes.length; ) {
      at += (await writeBytes(descriptor, bytes, at, bytes.length - at, at)).bytesWritten;
    }
  });
}

/**
 * Syncs the bytes of a finished file. If that fails the file is removed: the kernel reports a lost write once and then
 * forgets it, so a second fsync would succeed although the bytes are lost.
 */
export async function syncFile(path: string): Promise<void> {
  await openAndSync(path, "r+", async () => {});
}

async function openAndSync(path: string, flags: string, fill: (descriptor: number) => Promise<void>): Promise<void> {
  const descriptor = await openFile(path, flags);
  try {
    await fill(descriptor);
    await sync(descriptor);
  } catch (error) {
    await removeFile(path);
    throw error;
  } finally {
    closeSynced(descriptor);
  }
}

/** Closes a file whose bytes are synced or no longer needed. Does not wait for the disk; never throws. */
export function closeSynced(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // The descriptor is released even if close fails, and synced bytes are on the disk.
  }
}

/** Best effort: a file that stays is removed at the next start. */
export function removeFile(path: string): Promise<void> {
  return new Promise((resolve) => unlink(path, () => resolve()));
}

/** Ignores errors, because a reader can do nothing about them. */
export function closeFile(descriptor: number): void {
  close(descriptor, () => {});
}

/** Makes the names in a folder durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
