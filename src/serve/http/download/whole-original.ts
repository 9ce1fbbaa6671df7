// Waits for a fetched image until it is proven whole, because only a whole image is processed. It renders nothing.

import { HuiyuanError } from "../../../core/errors.ts";
import type { ObjectInfo } from "../../../core/object.ts";
import { bodyRoom } from "../../body/head-room.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { damageOf } from "../../mirror/fill/fill-end.ts";
import { bytesOfFetch, missStatus } from "./download-answer.ts";
import type { LocatedFetch, LocatedWhole } from "./download-context.ts";

/**
 * The image once all of it has arrived; valid until the fetch is released. Undefined: it is damaged, or the fetch was a
 * HEAD.
 * Throws the error of a broken body.
 */
export async function wholeOf(located: LocatedFetch, client: () => AbortSignal): Promise<LocatedWhole | undefined> {
  const { answer, life, certainty } = located;
  if (answer.kind === "head") return undefined;
  const whole = (info: ObjectInfo, isStored: boolean): LocatedWhole => ({
    kind: "whole",
    info,
    bytes: bytesOfFetch(answer, client),
    load: () => readSpool(answer.head.spool, info.size),
    isStorable: answer.isStorable,
    status: missStatus(located, isStored),
    life,
    certainty,
  });
  if (answer.kind === "finished") return whole(answer.info, answer.isStored());
  const end = await answer.reader.end();
  if (end.kind === "failed") throw end.error;
  if (!("info" in end) || damageOf(end) !== undefined) return undefined;
  return whole(end.info, end.kind === "whole" && answer.isStored());
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
