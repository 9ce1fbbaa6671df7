// The file of a spool that left memory. It is appended to in order and readable below `written`. Discarding removes it,
// unless the store has renamed it. It never retries: after one failure the disk is not used again.
import { close, open, read, unlink, writev } from "node:fs";
import { promisify } from "node:util";
import { errorCodeOf, storeFailure } from "../../../core/disk-failure.ts";

/**
 * The disk operations of a spool, on raw descriptors, because a FileHandle makes each step several times as expensive.
 */
export interface Disk {
  /** Creates a file for writing and reading, mode 0600; rejects if the file exists. */
  open(path: string): Promise<number>;
  /** Resolves with the number of bytes written, which may be fewer than given. */
  write(descriptor: number, pieces: readonly Buffer[], position: number): Promise<number>;
  /** Resolves with the number of bytes read; 0 at the end of the file. */
  read(descriptor: number, target: Buffer, position: number): Promise<number>;
  close(descriptor: number): Promise<void>;
  unlink(path: string): Promise<void>;
}

export const REAL_DISK: Disk = {
  open: (path) => promisify(open)(path, "wx+", 0o600),
  write: async (descriptor, pieces, position) => (await promisify(writev)(descriptor, pieces, position)).bytesWritten,
  read: async (descriptor, target, position) =>
    (await promisify(read)(descriptor, target, 0, target.byteLength, position)).bytesRead,
  close: promisify(close),
  unlink: promisify(unlink),
};

export interface SpoolFile {
  readonly path: string;
  /** Bytes that the disk has accepted, from the start of the body. */
  readonly written: number;
  /**
   * Appends at least the first byte of `pieces`; `written` tells how many. One call at a time. Throws store_full,
   * store_failed.
   */
  append(pieces: readonly Buffer[]): Promise<void>;
  /** Returns at least one byte, at most `length`, from below `written`. Throws store_failed. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Closes and removes the file once no operation uses it. Throws store_failed; the file may then still exist. */
  discard(): Promise<void>;
}

/** The first `append` creates the file. */
export function createSpoolFile(path: string, disk: Disk): SpoolFile {
  let opening: Promise<number> | undefined;
  let users = 0;
  let whenUnused: (() => void) | undefined;

  async function use<Result>(action: string, run: (descriptor: number) => Promise<Result>): Promise<Result> {
    users += 1;
    try {
      opening ??= disk.open(path);
      return await run(await opening);
    } catch (error) {
      throw storeFailure(error, `${action} "${path}"`);
    } finally {
      users -= 1;
      if (users === 0) whenUnused?.();
    }
  }

  // A field instead of a getter: V8 makes a slow object of every literal with a getter, and retains all that it refers
  // to.
  const file: { -readonly [Name in keyof SpoolFile]: SpoolFile[Name] } = {
    path,
    written: 0,
    append: (pieces) =>
      use("write", async (descriptor) => {
        const taken = await disk.write(descriptor, pieces, file.written);
        if (taken === 0) throw new Error("the disk wrote no byte");
        file.written += taken;
      }),
    read: (offset, length) =>
      use("read", async (descriptor) => {
        const target = Buffer.allocUnsafe(length);
        const got = await disk.read(descriptor, target, offset);
        if (got === 0) throw new Error(`the file ends before byte ${offset}, ${file.written} were written`);
        return target.subarray(0, got);
      }),
    async discard() {
      if (users > 0) {
        await new Promise<void>((resolve) => {
          whenUnused = resolve;
        });
      }
      // Undefined if it was never opened or could not be created; a file of this name then belongs to another program.
      const descriptor = await opening?.catch(() => undefined);
      if (descriptor === undefined) return;
      try {
        try {
          await disk.close(descriptor);
        } finally {
          // The descriptor is gone even if closing fails, and the file must be removed in any case.
          await disk.unlink(path);
        }
      } catch (error) {
        // The store has renamed the file; no other file ever gets this name.
        if (errorCodeOf(error) !== "ENOENT") throw storeFailure(error, `remove "${path}"`);
      }
    },
  };
  return file;
}
