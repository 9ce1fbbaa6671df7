// The words of a spool: the body of a fill while it arrives, one writer, many readers, each from any byte. In memory up
// to a bound, then on disk. It does not judge whether the body is whole (gate.ts does) and does not store it (bucket/
// does). Spools are opened by spool-pool.ts.
import type { HuiyuanError } from "../../core/errors.ts";
import type { Hashes } from "../../core/object.ts";

/** A body that has arrived whole, ready to be put into a bucket. */
export interface WholeBody {
  /** Bytes, exact. */
  readonly size: number;
  readonly hashes: Hashes;
  /** CRC-32 of each 64 KiB block in order, 4 bytes each, big-endian; the last block may be short. */
  readonly blockSums: Buffer;
  /**
   * `buffer`: all bytes in memory. `file`: a file on the store's own file system that the store may rename away;
   * its readers hold a descriptor and do not mind.
   */
  readonly content:
    | { readonly kind: "buffer"; readonly buffer: Buffer }
    | { readonly kind: "file"; readonly path: string };
}

/** How much of a body one block checksum covers, and how much is read from disk at a time. Bytes. */
export const BLOCK_BYTES = 65_536;

/** How the names of spool files end; nothing else in their folder does. */
export const SPOOL_SUFFIX = ".part";

/**
 * `whole`: all bytes came and are kept. `unstored`: all bytes came, but the disk could not keep them (store_full,
 * store_failed); readers end cleanly all the same, and the hashes are those of all bytes. `failed`: bytes are missing.
 */
export type SpoolEnd =
  | { readonly kind: "whole"; readonly body: WholeBody }
  | { readonly kind: "unstored"; readonly error: HuiyuanError; readonly hashes: Hashes }
  | { readonly kind: "failed"; readonly error: HuiyuanError };

/**
 * One arriving body. Reference counted: it begins with one hold (the fill's own); when the last hold is released the
 * descriptor is closed, the memory given back, and a spool file that nobody renamed away is removed.
 */
export interface Spool {
  /** Bytes that have arrived so far. */
  readonly received: number;
  /** Undefined while bytes may still come. */
  readonly end: SpoolEnd | undefined;
  /**
   * Takes ownership of the chunk. False: stop the origin until `drained()` resolves. The disk is behind by over 1 MiB
   * (64 KiB while the pool's memory is used up), or has failed and the fastest reader is behind by over 256 KiB.
   * Dropped after `fail()`; throws after `finish()`, which is a fault of the program.
   */
  write(chunk: Buffer): boolean;
  /** Resolves when the backlog is written, or taken by the fastest reader where the disk has failed. Never rejects. */
  drained(): Promise<void>;
  /** Somebody waits for `drained()`: that nothing comes is not the origin's fault. */
  isHeldUp(): boolean;
  /**
   * No more bytes; hashes are made and the file is complete (not yet synced). Throws store_full or store_failed when
   * the disk has failed (`end` then has the hashes), and the error of `fail()` when that came first.
   */
  finish(): Promise<WholeBody>;
  /** The body is broken; every reader gets this error after the bytes that did arrive. Ignored after the end. */
  fail(error: HuiyuanError): void;
  /** What is in memory from `offset` on, or undefined: nothing there yet, or only on disk. Never waits, never copies. */
  peek(offset: number): Buffer | undefined;
  /**
   * The next bytes from `offset` (at least one, at most 256 KiB); waits until they are there. Undefined at the end of a
   * body of which all bytes came. Throws the fill's error when the body failed and no bytes are left before it,
   * store_failed when the disk does not give the bytes back, and the signal's reason when aborted.
   */
  read(offset: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /**
   * A user that holds the spool reads nothing before the end, so that where the disk has failed the origin does not wait for
   * it. Until the returned function is called, once.
   */
  awaitEnd(): () => void;
  /**
   * Resolves when the disk has failed: what comes from then on is kept for as long as the fastest reader needs it, so that
   * one who begins at once may have all of the body. Never rejects, and never resolves where the disk takes everything.
   */
  notStorable(): Promise<void>;
  /** False where bytes that have come are to be had no more: the disk has failed, and there was no memory for who is behind the fastest reader. */
  hasAll(): boolean;
  /** One more user of the spool. */
  hold(): void;
  /** The user is done. */
  release(): void;
}
