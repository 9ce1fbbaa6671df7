// One spool. All bytes stay in memory until the body is too large; then they go to a file and only the latest stay. If
// the disk refuses them, the rest of the body stays in memory as a transient and is not stored.
import { HuiyuanError } from "../../../core/errors.ts";
import type { DigestName } from "../../../core/object.ts";
import { type BodyHasher, createBodyHasher, digestBytes } from "./hashing.ts";
import { BLOCK_BYTES, type Spool, type SpoolEnd, type WholeBody } from "./spool.ts";
import type { SpoolFile } from "./spool-file.ts";
import { SpoolWindow } from "./spool-window.ts";

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

/** A class, because each miss makes one, which lives until its image is stored. */
export class ArrivingSpool implements Spool {
  received = 0;
  end: SpoolEnd | undefined;
  onRefused: ((reason: HuiyuanError) => void) | undefined;
  readonly #parts: SpoolParts;
  readonly #window = new SpoolWindow();
  readonly #arrival = new Waiters();
  readonly #backlog = new Waiters();
  #isFinishing = false;
  #holds = 1;
  #file: SpoolFile | undefined;
  /** Continues after a disk failure, because a streamed body must still match its declared digests. */
  #hasher: BodyHasher | undefined;
  #flushing: Promise<void> | undefined;
  #diskError: HuiyuanError | undefined;
  /** Bytes taken from the room of transients. */
  #transientBytes = 0;

  constructor(parts: SpoolParts) {
    this.#parts = parts;
  }

  write(chunk: Buffer): boolean {
    const { memory, perSpoolBytes } = this.#parts;
    if (this.#isFinishing) throw new Error("Cannot write to a spool: it was finished");
    if (this.end?.kind === "failed") throw this.end.error;
    if (this.#holds === 0) return true;
    if (chunk.byteLength === 0) return !this.#isBehind();
    this.#window.append(chunk);
    this.received += chunk.byteLength;
    memory.count(chunk.byteLength);
    this.#hasher?.update(chunk);
    if (this.#diskError !== undefined) this.#keepAsTransient(chunk.byteLength, this.#diskError);
    if (this.#file === undefined && (this.received > perSpoolBytes || memory.isUsedUp)) this.#spill();
    if (this.#file !== undefined && this.#diskError === undefined) this.#flushing ??= this.#flush(this.#file);
    this.#trim();
    this.#arrival.wake();
    return !this.#isBehind();
  }

  drained(): Promise<void> {
    return this.#isDrained() ? Promise.resolve() : this.#backlog.wait();
  }

  isHeldUp(): boolean {
    return this.#backlog.isAwaited;
  }

  async finish(): Promise<WholeBody> {
    if (this.end?.kind === "failed") throw this.end.error;
    if (this.#isFinishing) throw new Error("Cannot finish a spool: it was finished before");
    if (this.#holds === 0) throw new Error("Cannot finish a spool: it was released");
    this.#isFinishing = true;
    const [file, hasher] = [this.#file, this.#hasher];
    const body = file === undefined || hasher === undefined ? this.#inMemory() : await this.#onDisk(file, hasher);
    this.#setEnd({ kind: "whole", body });
    return body;
  }

  fail(error: HuiyuanError): void {
    if (this.end === undefined) this.#setEnd({ kind: "failed", error });
  }

  peek(offset: number): Buffer | undefined {
    return this.#window.at(offset);
  }

  async read(offset: number, signal: AbortSignal): Promise<Buffer | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#holds === 0) throw new Error("Cannot read from a spool: it was released");
      const ready = this.#window.at(offset);
      if (ready !== undefined) return ready;
      const file = this.#file;
      if (file !== undefined && offset < file.written) {
        const bytes = await file.read(offset, Math.min(BLOCK_BYTES, file.written - offset));
        signal.throwIfAborted();
        return bytes;
      }
      if (this.end?.kind === "failed") throw this.end.error;
      if (this.end !== undefined) return undefined;
      await this.#arrival.wait(signal);
    }
  }

  hold(): void {
    if (this.#holds === 0) throw new Error("Cannot hold a spool: it was released");
    this.#holds += 1;
  }

  release(): void {
    if (this.#holds === 0) throw new Error("Cannot release a spool: it has no holds");
    this.#holds -= 1;
    if (this.#holds > 0) return;
    this.#freeMemory();
    this.#backlog.wake();
    this.#arrival.wake();
    this.#parts.released(this.#file);
  }

  #spill(): void {
    this.#file = this.#parts.newFile();
    this.#hasher = createBodyHasher(this.#parts.digests);
    for (const piece of this.#window.from(0)) this.#hasher.update(piece);
  }

  /** Writes until the disk has every byte. Never rejects. */
  async #flush(file: SpoolFile): Promise<void> {
    try {
      while (file.written < this.received && this.#holds > 0) {
        await file.append(this.#window.from(file.written));
        this.#trim();
      }
    } catch (error) {
      this.#diskError = error as HuiyuanError; // append throws nothing else
      this.#parts.diskFailed(this.#diskError);
      this.#keepAsTransient(this.#window.bytes, this.#diskError);
    }
    this.#flushing = undefined;
    if (this.#isDrained()) this.#backlog.wake();
  }

  /** From the disk's refusal on, all bytes stay in memory. Without room the body fails, and its memory is freed. */
  #keepAsTransient(bytes: number, refusal: HuiyuanError): void {
    if (this.end !== undefined || this.#holds === 0) return;
    const { transients } = this.#parts;
    try {
      if (transients === undefined) throw refusal;
      transients.take(bytes);
      this.#transientBytes += bytes;
    } catch (error) {
      const reason = error as HuiyuanError; // take throws nothing else
      this.fail(reason);
      this.#freeMemory();
      this.onRefused?.(reason);
    }
  }

  #freeMemory(): void {
    this.#parts.memory.count(-this.#window.clear());
    this.#parts.transients?.release(this.#transientBytes);
    this.#transientBytes = 0;
  }

  /** Drops bytes that the disk has. */
  #trim(): void {
    if (this.#file === undefined || this.#diskError !== undefined) return;
    const { memory } = this.#parts;
    memory.count(-this.#window.trim(memory.isUsedUp ? 0 : LATEST_BYTES, this.#file.written));
  }

  #isBehind(): boolean {
    if (this.#isDrained() || this.#file === undefined) return false;
    return this.received - this.#file.written > (this.#parts.memory.isUsedUp ? BLOCK_BYTES : BACKLOG_BYTES);
  }

  #isDrained(): boolean {
    const isOver = this.end !== undefined || this.#holds === 0 || this.#diskError !== undefined;
    return isOver || this.#file === undefined || this.#file.written === this.received;
  }

  #setEnd(outcome: SpoolEnd): void {
    this.end = outcome;
    this.#backlog.wake();
    this.#arrival.wake();
  }

  #inMemory(): WholeBody {
    const buffer = this.#window.join();
    const { hashes, blockSums } = digestBytes(buffer, this.#parts.digests);
    return { size: this.received, hashes, blockSums, content: { kind: "buffer", buffer } };
  }

  async #onDisk(file: SpoolFile, { digest }: BodyHasher): Promise<WholeBody> {
    await this.#flushing;
    if (this.end?.kind === "failed") throw this.end.error;
    const { hashes, blockSums } = digest();
    // If the spool was released meanwhile, the disk may lack bytes and the file is being removed.
    if (this.#diskError !== undefined || this.#holds === 0) {
      const message = "Cannot finish a spool: it was released while the disk was writing";
      const error = this.#diskError ?? new HuiyuanError("internal", message);
      this.#setEnd({ kind: "unstored", error, hashes });
      throw error;
    }
    // The disk has every byte; a finished body may wait long for its place in the store.
    this.#parts.memory.count(-this.#window.clear());
    return { size: this.received, hashes, blockSums, content: { kind: "file", path: file.path } };
  }
}

/**
 * Lets callers wait for the same event. Neither a wake-up nor an abort leaves a listener behind. A class, because each
 * arriving body has two, and most never wait.
 */
class Waiters {
  #waiters: Set<() => void> | undefined;

  /** True while a caller waits. False from `wake` on, even before the woken callers have continued. */
  get isAwaited(): boolean {
    return this.#waiters !== undefined && this.#waiters.size > 0;
  }

  /**
   * Resolves at the next `wake`. Rejects with the signal's reason if it aborts first; the signal must not be aborted
   * yet.
   */
  wait(signal?: AbortSignal): Promise<void> {
    this.#waiters ??= new Set();
    const waiters = this.#waiters;
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        waiters.delete(proceed);
        reject(signal?.reason);
      };
      const proceed = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      waiters.add(proceed);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  wake(): void {
    const woken = this.#waiters;
    this.#waiters = undefined;
    for (const proceed of woken ?? []) proceed();
  }
}
