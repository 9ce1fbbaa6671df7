// One spool. All bytes stay in memory until the body is too large; then they go to a file and only the latest stay. If
// the disk fails, the body is streamed without being stored: the fastest reader sets the pace, and slower readers share
// the spare memory.
import { HuiyuanError } from "../../core/errors.ts";
import type { DigestName } from "../../core/object.ts";
import { type BodyHasher, createBodyHasher, digestBytes } from "./hashing.ts";
import { BLOCK_BYTES, type Spool, type SpoolEnd, type WholeBody } from "./spool.ts";
import type { SpoolFile } from "./spool-file.ts";
import { createSpoolWindow } from "./spool-window.ts";
import { createWaiters, type Waiters } from "./waiters.ts";

export interface SpoolParts {
  /** The account of the pool's memory. `count` takes the change in bytes. */
  readonly memory: { count(change: number): void; readonly isUsedUp: boolean; readonly isHalfUsed: boolean };
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
  /** Made on first use, because almost no caller waits for it. */
  let failure: Waiters | undefined;
  /** The fastest present reader has received every byte before this offset. */
  let fastestOffset = 0;
  /** The number of holds whose users read nothing before the end. */
  let endWaiters = 0;

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
      trim();
      failure?.wake();
    }
    flushing = undefined;
    if (isDrained()) backlog.wake();
  }

  /** Drops bytes that are no longer needed in memory. */
  function trim(): void {
    if (file === undefined) return;
    memory.count(-window.trim(keepBytes(), Math.max(file.written, consumedOffset())));
  }

  function keepBytes(): number {
    if (diskError === undefined) return memory.isUsedUp ? 0 : LATEST_BYTES;
    // Without a disk, readers depend on memory, so it is not given up for other spools. More than two holds (fill and
    // one reader) mean that slower readers exist.
    return holds - endWaiters > 2 && !memory.isHalfUsed ? Number.POSITIVE_INFINITY : LATEST_BYTES;
  }

  /** The offset up to which no reader needs the bytes, if the disk failed; 0 while the disk works. */
  function consumedOffset(): number {
    if (diskError === undefined) return 0;
    return holds - endWaiters > 1 ? fastestOffset : spool.received;
  }

  /** Bytes in memory that the fastest reader has not received. */
  function unconsumedBytes(): number {
    return Math.min(window.bytes, spool.received - consumedOffset());
  }

  function isBehind(): boolean {
    if (file === undefined || spool.end !== undefined) return false;
    if (diskError !== undefined) return unconsumedBytes() > LATEST_BYTES;
    return spool.received - file.written > (memory.isUsedUp ? BLOCK_BYTES : BACKLOG_BYTES);
  }

  function isDrained(): boolean {
    if (file === undefined || spool.end !== undefined || holds === 0) return true;
    return diskError === undefined ? file.written === spool.received : unconsumedBytes() <= LATEST_BYTES;
  }

  /**
   * A reader asks for `offset`, so it has all earlier bytes. A reader that waits beyond the end has all bytes so far.
   */
  function noteReader(offset: number): void {
    const reached = Math.min(offset, spool.received);
    if (reached > fastestOffset) fastestOffset = reached;
    if (diskError !== undefined) onReaderChange();
  }

  /** Called if the body is in memory only and a reader has advanced or left: frees bytes that nobody needs. */
  function onReaderChange(): void {
    // After the end no more bytes arrive, so slow readers may keep the rest.
    if (spool.end === undefined) trim();
    if (isDrained()) backlog.wake();
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

  async function readBehind(offset: number): Promise<Buffer> {
    if (file !== undefined && offset < file.written) {
      return file.read(offset, Math.min(BLOCK_BYTES, file.written - offset));
    }
    const message = `Cannot read byte ${offset} of an arriving body: it is neither on disk nor in memory`;
    throw new HuiyuanError("store_failed", message, { cause: diskError });
  }

  // Two plain fields instead of getters: V8 makes a slow object of every literal with a getter (3 µs against 0.3).
  const spool: { -readonly [Name in keyof Spool]: Spool[Name] } = {
    received: 0,
    end: undefined,
    write(chunk) {
      if (isFinishing) throw new Error("Cannot write to a spool: it was finished");
      if (spool.end !== undefined || holds === 0) return true;
      if (chunk.byteLength === 0) return !isBehind();
      window.append(chunk);
      spool.received += chunk.byteLength;
      memory.count(chunk.byteLength);
      hasher?.update(chunk);
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
    peek(offset) {
      noteReader(offset);
      return window.at(offset);
    },
    async read(offset, signal) {
      for (;;) {
        signal.throwIfAborted();
        if (holds === 0) throw new Error("Cannot read from a spool: it was released");
        noteReader(offset);
        const ready = window.at(offset);
        if (ready !== undefined) return ready;
        if (offset < spool.received) {
          const bytes = await readBehind(offset);
          signal.throwIfAborted();
          return bytes;
        }
        if (spool.end?.kind === "failed") throw spool.end.error;
        if (spool.end !== undefined) return undefined;
        await arrival.wait(signal);
      }
    },
    notStorable() {
      if (diskError !== undefined) return Promise.resolve();
      failure ??= createWaiters();
      return failure.wait();
    },
    hasAll: () => spool.received - window.bytes <= (file?.written ?? 0),
    hold() {
      if (holds === 0) throw new Error("Cannot hold a spool: it was released");
      holds += 1;
    },
    awaitEnd() {
      endWaiters += 1;
      if (diskError !== undefined) onReaderChange();
      return () => {
        endWaiters -= 1;
      };
    },
    release() {
      if (holds === 0) throw new Error("Cannot release a spool: it has no holds");
      holds -= 1;
      // The fastest reader may have left. A waiting reader has received all bytes so far and reports nothing before
      // more arrive. The others report when they read on.
      fastestOffset = arrival.isAwaited() ? spool.received : 0;
      if (diskError !== undefined) onReaderChange();
      if (holds > 0) return;
      memory.count(-window.clear());
      backlog.wake();
      arrival.wake();
      parts.released(file);
    },
  };
  return spool;
}
