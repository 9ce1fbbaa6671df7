// One spool. All bytes stay in memory until the body is too large; then they go to a file and only the latest stay. If
// the disk refuses them, the rest of the body stays in memory as a transient and is not stored.
import { HuiyuanError } from "../../core/errors.ts";
import type { DigestName } from "../../core/object.ts";
import { type BodyHasher, createBodyHasher, digestBytes } from "./hashing.ts";
import { BLOCK_BYTES, type Spool, type SpoolEnd, type WholeBody } from "./spool.ts";
import type { SpoolFile } from "./spool-file.ts";
import { createSpoolWindow } from "./spool-window.ts";
import { createWaiters } from "./waiters.ts";

/** The room of all transients together. */
export interface TransientRoom {
  /** Throws not_kept if there is not so much room. */
  take(bytes: number): void;
  release(bytes: number): void;
}

export interface SpoolParts {
  /** The account of the pool's memory, with the bytes of transients. `count` takes the change in bytes. */
  readonly memory: { count(change: number): void; readonly isUsedUp: boolean };
  /** Undefined: the spool fails with its disk. */
  readonly transients: TransientRoom | undefined;
  readonly perSpoolBytes: number;
  /** Computed of the body in addition to SHA-256. */
  readonly digests: ReadonlySet<DigestName>;
  /** Called at most once. */
  readonly newFile: () => SpoolFile;
  readonly diskFailed: (error: HuiyuanError) => void;
  /** The last hold was released; the callee discards the file. */
  readonly released: (file: SpoolFile | undefined) => void;
}

/** Bytes that the disk may lag behind before the origin is paused. */
const BACKLOG_BYTES = 1_048_576;
/** Bytes of a body on disk that stay in memory for the fastest readers. */
const LATEST_BYTES = 262_144;

export function openSpool(parts: SpoolParts): Spool {
  const { memory } = parts;
  const window = createSpoolWindow();
  const arrival = createWaiters();
  const backlog = createWaiters();
  let isFinishing = false;
  let holds = 1;
  let file: SpoolFile | undefined;
  /** Continues after a disk failure, because a streamed body must still match its declared digests. */
  let hasher: BodyHasher | undefined;
  let flushing: Promise<void> | undefined;
  let diskError: HuiyuanError | undefined;
  /** Bytes taken from the room of transients. */
  let transientBytes = 0;

  function spill(): void {
    file = parts.newFile();
    hasher = createBodyHasher(parts.digests);
    for (const piece of window.from(0)) hasher.update(piece);
  }

  /** Writes until the disk has every byte. Never rejects. */
  async function flush(target: SpoolFile): Promise<void> {
    try {
      while (target.written < spool.received && holds > 0) {
        await target.append(window.from(target.written));
        trim();
      }
    } catch (error) {
      diskError = error as HuiyuanError; // append throws nothing else
      parts.diskFailed(diskError);
      keepAsTransient(window.bytes, diskError);
    }
    flushing = undefined;
    if (isDrained()) backlog.wake();
  }

  /** From the disk's refusal on, all bytes stay in memory. Without room the body fails, and its memory is freed. */
  function keepAsTransient(bytes: number, refusal: HuiyuanError): void {
    if (spool.end !== undefined || holds === 0) return;
    try {
      if (parts.transients === undefined) throw refusal;
      parts.transients.take(bytes);
      transientBytes += bytes;
    } catch (error) {
      const reason = error as HuiyuanError; // take throws nothing else
      spool.fail(reason);
      freeMemory();
      spool.onRefused?.(reason);
    }
  }

  function freeMemory(): void {
    memory.count(-window.clear());
    parts.transients?.release(transientBytes);
    transientBytes = 0;
  }

  /** Drops bytes that the disk has. */
  function trim(): void {
    if (file === undefined || diskError !== undefined) return;
    memory.count(-window.trim(memory.isUsedUp ? 0 : LATEST_BYTES, file.written));
  }

  function isBehind(): boolean {
    if (isDrained() || file === undefined) return false;
    return spool.received - file.written > (memory.isUsedUp ? BLOCK_BYTES : BACKLOG_BYTES);
  }

  function isDrained(): boolean {
    const isOver = spool.end !== undefined || holds === 0 || diskError !== undefined;
    return isOver || file === undefined || file.written === spool.received;
  }

  function setEnd(outcome: SpoolEnd): void {
    spool.end = outcome;
    backlog.wake();
    arrival.wake();
  }

  function finishInMemory(): WholeBody {
    const buffer = window.join();
    const { hashes, blockSums } = digestBytes(buffer, parts.digests);
    return { size: spool.received, hashes, blockSums, content: { kind: "buffer", buffer } };
  }

  async function finishOnDisk(target: SpoolFile, { digest }: BodyHasher): Promise<WholeBody> {
    await flushing;
    if (spool.end?.kind === "failed") throw spool.end.error;
    const { hashes, blockSums } = digest();
    // If the spool was released meanwhile, the disk may lack bytes and the file is being removed.
    if (diskError !== undefined || holds === 0) {
      const error =
        diskError ?? new HuiyuanError("internal", "Cannot finish a spool: it was released while the disk was writing");
      setEnd({ kind: "unstored", error, hashes });
      throw error;
    }
    // The disk has every byte; a finished body may wait long for its place in the store.
    memory.count(-window.clear());
    return { size: spool.received, hashes, blockSums, content: { kind: "file", path: target.path } };
  }

  // Two plain fields instead of getters: V8 makes a slow object of every literal with a getter (3 µs against 0.3).
  const spool: { -readonly [Name in keyof Spool]: Spool[Name] } = {
    received: 0,
    end: undefined,
    onRefused: undefined,
    write(chunk) {
      if (isFinishing) throw new Error("Cannot write to a spool: it was finished");
      if (spool.end?.kind === "failed") throw spool.end.error;
      if (holds === 0) return true;
      if (chunk.byteLength === 0) return !isBehind();
      window.append(chunk);
      spool.received += chunk.byteLength;
      memory.count(chunk.byteLength);
      hasher?.update(chunk);
      if (diskError !== undefined) keepAsTransient(chunk.byteLength, diskError);
      if (file === undefined && (spool.received > parts.perSpoolBytes || memory.isUsedUp)) spill();
      if (file !== undefined && diskError === undefined) flushing ??= flush(file);
      trim();
      arrival.wake();
      return !isBehind();
    },
    drained: () => (isDrained() ? Promise.resolve() : backlog.wait()),
    isHeldUp: backlog.isAwaited,
    async finish() {
      if (spool.end?.kind === "failed") throw spool.end.error;
      if (isFinishing) throw new Error("Cannot finish a spool: it was finished before");
      if (holds === 0) throw new Error("Cannot finish a spool: it was released");
      isFinishing = true;
      const body = file === undefined || hasher === undefined ? finishInMemory() : await finishOnDisk(file, hasher);
      setEnd({ kind: "whole", body });
      return body;
    },
    fail(error) {
      if (spool.end === undefined) setEnd({ kind: "failed", error });
    },
    peek: (offset) => window.at(offset),
    async read(offset, signal) {
      for (;;) {
        signal.throwIfAborted();
        if (holds === 0) throw new Error("Cannot read from a spool: it was released");
        const ready = window.at(offset);
        if (ready !== undefined) return ready;
        if (file !== undefined && offset < file.written) {
          const bytes = await file.read(offset, Math.min(BLOCK_BYTES, file.written - offset));
          signal.throwIfAborted();
          return bytes;
        }
        if (spool.end?.kind === "failed") throw spool.end.error;
        if (spool.end !== undefined) return undefined;
        await arrival.wait(signal);
      }
    },
    hold() {
      if (holds === 0) throw new Error("Cannot hold a spool: it was released");
      holds += 1;
    },
    release() {
      if (holds === 0) throw new Error("Cannot release a spool: it has no holds");
      holds -= 1;
      if (holds > 0) return;
      freeMemory();
      backlog.wake();
      arrival.wake();
      parts.released(file);
    },
  };
  return spool;
}
