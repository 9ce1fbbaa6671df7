// The event loop's side of the writer thread, which alone writes the catalogue, the packs and the blob folder.
import { type BatchWorker, createBatchWorker } from "../../../../sqlite/batch-worker.ts";
import type { Operation, WriteOperations } from "../catalogue/write-operations.ts";

export interface WriterData {
  readonly dataDir: string;
  readonly packBytes: number | undefined;
}

/** The body of a put has at most MAX_PACKED_BYTES. */
export type Writer = Omit<BatchWorker<WriteOperations>, "ready">;

export interface WriterOptions {
  readonly dataDir: string;
  /** A pack of this size is closed. Bytes. */
  readonly packBytes?: number | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Called with the operations that have ended, or may have when the thread died, before any is acknowledged. */
  readonly onEnded?: (operations: readonly Operation[]) => void;
  /** Maximum number of unfinished operations. */
  readonly capacity?: number;
}

/** The largest body that is sent to the writer, and so stored in a pack. Bytes. */
export const MAX_PACKED_BYTES = 262_144;

/** Throws as opening the catalogue does. */
export async function startWriter({ dataDir, packBytes, ...options }: WriterOptions): Promise<Writer> {
  const writer = createBatchWorker<WriteOperations>({
    ...options,
    thread: { file: "./writer-thread.js", from: import.meta.url, name: "huiyuan-writer" },
    data: { dataDir, packBytes } satisfies WriterData,
    failure: "Cannot write",
    ending: "the writer thread has ended; restart huiyuan",
    sharedBytes: 4_194_304,
    delayMs: 5,
    maxBatch: 512,
  });
  await writer.ready;
  return writer;
}
