// Waits for a fetched original until it is proven whole, because only a whole image is processed. It renders nothing.

import { bodyRoom } from "../../body/body-room.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";

type Fetched = Exclude<MissAnswer, { readonly kind: "asked" }>;

/** Valid until the answer is released. */
export interface WholeOriginal {
  readonly info: ObjectInfo;
  load(): Promise<Buffer>;
  /** The whole body if the disk refused it, so that it is in memory and no longer in the spool. */
  readonly notStorable: Buffer | undefined;
}

/** Undefined: the body is suspect. Throws the error of a broken body, and not_kept as FillReader.whole does. */
export async function wholeOf(answer: Fetched): Promise<WholeOriginal | undefined> {
  const { spool } = answer.head;
  const fromSpool = (info: ObjectInfo) => ({ info, load: () => readSpool(spool, info.size), notStorable: undefined });
  if (answer.kind === "finished") return fromSpool(answer.info);
  const end = await answer.reader.whole();
  if (end.kind === "transient") return { info: end.info, load: async () => end.bytes, notStorable: end.bytes };
  if (end.kind === "whole") return fromSpool(end.info);
  if (end.kind === "failed") throw end.error;
  return undefined;
}

/** The disk refused the body and faster readers used it up. Without room (no cause) a retry would fail again. */
export function isTransientGone(error: unknown): error is HuiyuanError {
  return error instanceof HuiyuanError && error.code === "not_kept" && error.cause !== undefined;
}

export function suspectOriginalError(): HuiyuanError {
  return new HuiyuanError("origin_truncated", "Cannot process the original: it is damaged");
}

/** Reads all of an ended spool. */
async function readSpool(spool: Spool, size: number): Promise<Buffer> {
  const whole = spool.end?.kind === "whole" ? spool.end.body.content : undefined;
  if (whole?.kind === "buffer") return whole.buffer;
  const bytes = bodyRoom(size);
  let filled = 0;
  const { signal } = new AbortController(); // The file is complete, so that no read waits.
  // The request that holds the spool may end during the read.
  spool.hold();
  try {
    while (filled < size) {
      const chunk = await spool.read(filled, signal);
      if (chunk === undefined) break;
      filled += chunk.copy(bytes, filled);
    }
    return bytes.subarray(0, filled);
  } finally {
    spool.release();
  }
}
