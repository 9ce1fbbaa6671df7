// The file of a spool that has left memory: appended to in order, read anywhere below what the disk has taken, removed
// when discarded unless the store has renamed it away. It does not retry: a disk that failed once is not asked again.
import { close, open, read, unlink, writev } from "node:fs";
import { HuiyuanError } from "../../core/errors.ts";

/** The steps that a spool asks of the disk, on raw descriptors: a FileHandle costs several times as much a step. */
export interface Disk {
  /** A new file for writing and reading, mode 0600; rejects where one is there already. */
  open(path: string): Promise<number>;
  /** Resolves with the bytes taken, which may be fewer than given. */
  write(descriptor: number, pieces: readonly Buffer[], position: number): Promise<number>;
  /** Resolves with the bytes read; 0 at the end of the file. */
  read(descriptor: number, target: Buffer, position: number): Promise<number>;
  close(descriptor: number): Promise<void>;
  unlink(path: string): Promise<void>;
}

export const REAL_DISK: Disk = {
  open: (path) => step((done) => open(path, "wx+", 0o600, done)),
  write: (descriptor, pieces, position) => step((done) => writev(descriptor, pieces, position, done)),
  read: (descriptor, target, position) =>
    step((done) => read(descriptor, target, 0, target.byteLength, position, done)),
  close: (descriptor) => step((done) => close(descriptor, done)),
  unlink: (path) => step((done) => unlink(path, done)),
};

export interface SpoolFile {
  readonly path: string;
  /** Bytes that the disk has taken, all of them from the start of the body. */
  readonly written: number;
  /** Appends at least the first byte of `pieces`; `written` says how many. One call at a time. Throws store_full, store_failed. */
  append(pieces: readonly Buffer[]): Promise<void>;
  /** At least one byte, at most `length`, from below `written`. Throws store_failed. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Closes and removes the file once nothing uses it any more. Throws store_failed; the file may then still be there. */
  discard(): Promise<void>;
}

/** The file is made by the first `append`. */
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
      throw diskFailure(error, `${action} "${path}"`);
    } finally {
      users -= 1;
      if (users === 0) whenUnused?.();
    }
  }

  // A field and no getter: V8 makes a slow object of every literal with a getter, and keeps all that it refers to.
  const file: { -readonly [Name in keyof SpoolFile]: SpoolFile[Name] } = {
    path,
    written: 0,
    append: (pieces) =>
      use("write", async (descriptor) => {
        const taken = await disk.write(descriptor, pieces, file.written);
        if (taken === 0) throw new Error("the disk took no byte");
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
      // Undefined: never opened, or refused; a file of this name is then not ours to remove.
      const descriptor = await opening?.catch(() => undefined);
      if (descriptor === undefined) return;
      try {
        try {
          await disk.close(descriptor);
        } finally {
          // The descriptor is gone even when closing reports a fault; the file must not stay for that.
          await disk.unlink(path);
        }
      } catch (error) {
        // The store has renamed it away; nothing else is ever given this name.
        if (systemCode(error) !== "ENOENT") throw diskFailure(error, `remove "${path}"`);
      }
    },
  };
  return file;
}

/** Calls a Node function that ends with a callback. */
function step<Result = void>(start: (done: (error: Error | null, result?: Result) => void) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    // Functions without a result resolve with undefined, which is their Result.
    start((error, result) => (error === null ? resolve(result as Result) : reject(error)));
  });
}

const FULL_CODES: readonly string[] = ["ENOSPC", "EDQUOT"];

function diskFailure(error: unknown, action: string): HuiyuanError {
  const found = error instanceof Error ? error.message : String(error);
  const code = FULL_CODES.includes(systemCode(error)) ? "store_full" : "store_failed";
  return new HuiyuanError(code, `Cannot ${action}: ${found}`, { cause: error });
}

function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
