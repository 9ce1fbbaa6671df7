// The few asynchronous file operations of the store. They use raw descriptors, because a FileHandle costs several times
// as much per operation and every miss pays for it.
import { close, closeSync, fsync, open, read, unlink, write } from "node:fs";

/** `flags` as for `fs.open`. The caller closes the descriptor. */
export function openFile(path: string, flags: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)));
  });
}

/**
 * Fills `target` from `position` on. Returns the bytes read; fewer than `target.length` only at the end of the file.
 */
export async function readInto(descriptor: number, target: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const got = await readOnce(descriptor, target, filled, position + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

/** Creates a new file with these bytes and syncs it. Throws if the file exists. Leaves no file behind if it throws. */
export async function writeSyncedFile(path: string, bytes: Buffer): Promise<void> {
  const descriptor = await openFile(path, "wx");
  try {
    let written = 0;
    while (written < bytes.length) written += await writeOnce(descriptor, bytes, written);
    await sync(descriptor);
  } catch (error) {
    await removeFile(path);
    throw error;
  } finally {
    closeSynced(descriptor);
  }
}

/**
 * Syncs the bytes of a finished file. If that fails the file is removed: the kernel reports a lost write once and then
 * forgets it, so a second fsync would succeed although the bytes are lost.
 */
export async function syncFile(path: string): Promise<void> {
  const descriptor = await openFile(path, "r+");
  try {
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

function readOnce(descriptor: number, target: Buffer, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, target, offset, target.length - offset, position, (error, got) =>
      error === null ? resolve(got) : reject(error),
    );
  });
}

function writeOnce(descriptor: number, bytes: Buffer, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, offset, bytes.length - offset, offset, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

function sync(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(descriptor, (error) => (error === null ? resolve() : reject(error)));
  });
}
