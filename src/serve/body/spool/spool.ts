// The types of a spool: the arriving body of a fill, with one writer and many readers, each from any byte. It is in
// memory up to a bound, then on disk. It does not judge whether the body is whole (gate.ts does) and does not store it
// (bucket/ does). spool-pool.ts opens spools.
import type { HuiyuanError } from "../../../core/errors.ts";
import type { Hashes } from "../../../core/object.ts";

/** A body that has arrived whole, ready to be put into a bucket. */
export interface WholeBody {
  /** Bytes, exact. */
  readonly size: number;
  readonly hashes: Hashes;
  /** CRC-32 of each 64 KiB block in order, 4 bytes each, big-endian; the last block may be short. */
  readonly blockSums: Buffer;
  /**
   * `buffer`: all bytes in memory. `file`: a file on the store's own file system, which the store may rename; readers
   * are not affected, because they hold a descriptor.
   */
  readonly content:
    | { readonly kind: "buffer"; readonly buffer: Buffer }
    | { readonly kind: "file"; readonly path: string };
}

/** Bytes covered by one block checksum, and read from disk at a time. */
export const BLOCK_BYTES = 65_536;

/** The suffix of spool files; no other file in their directory has it. */
export const SPOOL_SUFFIX = ".part";

/**
 * `whole`: all bytes arrived and are stored in the spool. `unstored`: all bytes arrived, but the disk refused some
 * (store_full, store_failed); these are in memory. `failed`: bytes are missing; not_kept: the disk refused them, and
 * memory had no room.
 */
export type SpoolEnd =
  | { readonly kind: "whole"; readonly body: WholeBody }
  | { readonly kind: "unstored"; readonly error: HuiyuanError; readonly hashes: Hashes }
  | { readonly kind: "failed"; readonly error: HuiyuanError };

/**
 * One arriving body. Reference counted: it starts with one hold (the fill's own). When the last hold is released, the
 * descriptor is closed and the memory freed; a spool file that was not renamed is removed.
 */
export interface Spool {
  /** Bytes that have arrived so far. */
  readonly received: number;
  /** Set by the writer. Called once if the disk refuses the body and memory has no room, also while no byte arrives. */
  onRefused: ((reason: HuiyuanError) => void) | undefined;
  /** Undefined while more bytes may arrive. */
  readonly end: SpoolEnd | undefined;
  /**
   * Takes ownership of the chunk. False: pause the origin until `drained()` resolves. Then the disk lags by over 1 MiB
   * (64 KiB while the pool's memory is used up). Throws the error of a failed body, so that nobody reads the rest of
   * it; after `finish()` throws too, which is a bug in the caller.
   */
  write(chunk: Buffer): boolean;
  /** Resolves once the backlog is written, or the disk has refused it. Never rejects. */
  drained(): Promise<void>;
  /** True while the writer waits for `drained()`: then a missing byte is not the origin's fault. */
  isHeldUp(): boolean;
  /**
   * Ends the body; computes the hashes and completes the file (not yet synced). Throws store_full or store_failed if
   * the disk has failed (`end` then has the hashes), and the error of `fail()` if that came first.
   */
  finish(): Promise<WholeBody>;
  /** Marks the body as broken; every reader gets this error after the bytes that did arrive. Ignored after the end. */
  fail(error: HuiyuanError): void;
  /**
   * Returns the bytes in memory from `offset`. Undefined if they have not arrived, or are only on disk. Never waits,
   * never copies.
   */
  peek(offset: number): Buffer | undefined;
  /**
   * Returns the next bytes from `offset` (1 byte to 256 KiB) and waits for them. Undefined at the end of a body that
   * arrived completely. Throws the fill's error if the body failed and no bytes precede the failure. Throws
   * store_failed if the disk cannot read the bytes back, and the signal's reason when aborted.
   */
  read(offset: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** Adds one user of the spool. */
  hold(): void;
  /** Removes one user of the spool. */
  release(): void;
}
