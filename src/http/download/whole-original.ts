// An original that is being fetched, as a whole: only what has proven to be good is processed.

import { bodyRoom } from "../../body/body-room.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { MissAnswer } from "../../mirror/fill/join.ts";

type Fetched = Exclude<MissAnswer, { readonly kind: "asked" }>;

/** Until the answer is released. */
export interface WholeOriginal {
  readonly info: ObjectInfo;
  load(): Promise<Buffer>;
  /** All of it, where it is in memory and in no spool any more: no disk keeps it. */
  readonly notStorable: Buffer | undefined;
}

/** Undefined for a body that is suspect. Throws for one that is broken, and not_kept as Follower.whole. */
export async function wholeOf(answer: Fetched): Promise<WholeOriginal | undefined> {
  const { spool } = answer.head;
  const kept = (info: ObjectInfo) => ({ info, load: () => readSpool(spool, info.size), notStorable: undefined });
  if (answer.kind === "finished") return kept(answer.info);
  const end = await answer.reader.whole();
  if (end.kind === "rescued") return { info: end.info, load: async () => end.bytes, notStorable: end.bytes };
  if (end.kind === "whole") return kept(end.info);
  if (end.kind === "failed") throw end.error;
  return undefined;
}

/** No disk keeps it, and somebody else was faster; that it found no room would be so again. */
export function isTransientGone(error: unknown): error is HuiyuanError {
  return error instanceof HuiyuanError && error.code === "not_kept" && error.cause !== undefined;
}

/** Nothing is made of it. */
export function suspectOriginalError(): HuiyuanError {
  return new HuiyuanError("origin_truncated", "Cannot process the original: it is damaged");
}

/** All of a spool that has ended. */
async function readSpool(spool: Spool, size: number): Promise<Buffer> {
  const whole = spool.end?.kind === "whole" ? spool.end.body.content : undefined;
  if (whole?.kind === "buffer") return whole.buffer;
  const bytes = bodyRoom(size);
  let filled = 0;
  const { signal } = new AbortController(); // The file is there; nothing is waited for.
  // Whoever wanted it may leave meanwhile.
  spool.hold();
  try {
    while (filled < size) {
      const part = await spool.read(filled, signal);
      if (part === undefined) break;
      filled += part.copy(bytes, filled);
    }
    return bytes.subarray(0, filled);
  } finally {
    spool.release();
  }
}
