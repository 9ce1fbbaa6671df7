// An original that is being fetched, as a whole: only what has proven to be good is processed.
import type { Spool } from "../body/spool.ts";
import { bodyRoom } from "../body-room.ts";
import { HuiyuanError } from "../errors.ts";
import type { MissAnswer } from "../mirror/join.ts";
import type { ObjectInfo } from "../object.ts";

type Fetched = Exclude<MissAnswer, { readonly kind: "asked" }>;

/** Nothing is made of a body that is broken or suspect. */
export async function wholeOf(answer: Fetched): Promise<ObjectInfo> {
  if (answer.kind === "finished") return answer.info;
  const end = await answer.follower.end();
  if (end.kind === "whole") return end.info;
  if (end.kind === "failed" || end.kind === "unstored") throw end.error;
  throw new HuiyuanError("origin_truncated", "Cannot process the original: it is damaged");
}

/** All of a spool that has ended. */
export async function readSpool(spool: Spool, size: number): Promise<Buffer> {
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
