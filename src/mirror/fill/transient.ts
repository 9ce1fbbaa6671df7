// A body that no disk keeps, gathered in memory as it arrives for those who can do nothing with less than all of it: one copy for
// everybody who asks while somebody has it. Its bytes are bounded, all such bodies together.

import { bodyRoom } from "../../body/body-room.ts";
import type { Spool } from "../../body/spool/spool.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import type { Damage, FillEnd } from "./fill-end.ts";

export interface TransientBody {
  readonly kind: "transient";
  readonly info: ObjectInfo;
  readonly bytes: Buffer;
}

export interface Transient {
  /** Whoever takes it now has all of it, however much of the body has gone by. */
  readonly isUnderWay: boolean;
  /**
   * To be followed by one `release`, also where it rejects. Throws not_kept where there is no room, or (with a cause) where
   * somebody else has been too fast, and what the body failed with.
   */
  take(): Promise<TransientBody>;
  release(): void;
}

/** Bytes of all bodies that are gathered at the moment. */
export interface TransientRoom {
  /** False: there is no room, and nothing was taken. */
  take(bytes: number): boolean;
  release(bytes: number): void;
}

export interface TransientParts {
  readonly spool: Spool;
  readonly done: Promise<FillEnd>;
  readonly room: TransientRoom;
}

/** At least three of the largest images of the default settings. While a body becomes one piece it is there twice. */
const MAX_TRANSIENT_BYTES = 67_108_864;

export function createTransientRoom(maxBytes = MAX_TRANSIENT_BYTES): TransientRoom {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > maxBytes) return false;
      taken += bytes;
      return true;
    },
    release(bytes) {
      taken -= bytes;
    },
  };
}

const REFUSALS = {
  structure: ["origin_truncated", "it is damaged"],
  hash: ["origin_hash_wrong", "it declared another digest"],
} as const satisfies Record<Damage, readonly [ErrorCode, string]>;

interface Collecting {
  readonly stop: AbortController;
  readonly whole: Promise<TransientBody>;
  isLost: boolean;
}

export function createTransient({ spool, done, room }: TransientParts): Transient {
  let holders = 0;
  let bytes = 0;
  let gathering: Collecting | undefined;

  function begin(): Collecting {
    const stop = new AbortController();
    const begun: Collecting = { stop, whole: transient(stop.signal), isLost: false };
    // Perhaps everybody has left.
    begun.whole.catch(() => {
      begun.isLost = true;
    });
    return begun;
  }

  async function transient(signal: AbortSignal): Promise<TransientBody> {
    const bytes = await gather(signal);
    const end = await done;
    if (end.kind === "failed") throw end.error;
    if (end.kind !== "unstored") throw new HuiyuanError("internal", `Cannot rescue a body that ended ${end.kind}`);
    const { info, damage, head } = end;
    if (damage === undefined) return { kind: "transient", info, bytes };
    const [code, found] = REFUSALS[damage];
    throw new HuiyuanError(code, `Cannot use the body of ${head.answer.url}: ${found}`);
  }

  async function gather(signal: AbortSignal): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let size = 0;
    spool.hold();
    try {
      for (;;) {
        const piece = spool.peek(size) ?? (await next(spool, size, signal));
        signal.throwIfAborted();
        if (piece === undefined) break;
        if (!room.take(piece.length)) throw notStorableError("there is no room to gather it");
        bytes += piece.length;
        size += piece.length;
        pieces.push(piece);
      }
    } finally {
      spool.release();
    }
    const all = bodyRoom(size);
    let filled = 0;
    for (const piece of pieces) filled += piece.copy(all, filled);
    return all;
  }

  return {
    get isUnderWay() {
      return gathering?.isLost === false;
    },
    take() {
      holders += 1;
      gathering ??= begin();
      return gathering.whole;
    },
    release() {
      holders -= 1;
      if (holders > 0) return;
      gathering?.stop.abort(new Error("nobody wants it any more"));
      gathering = undefined;
      room.release(bytes);
      bytes = 0;
    },
  };
}

async function next(spool: Spool, offset: number, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    return await spool.read(offset, signal);
  } catch (error) {
    if (!(error instanceof HuiyuanError) || error.code !== "store_failed" || spool.hasAll()) throw error;
    throw notStorableError("its beginning is gone", error);
  }
}

function notStorableError(found: string, cause?: HuiyuanError): HuiyuanError {
  return new HuiyuanError("not_kept", `Cannot use an image that is passed on only: ${found}`, {
    ...(cause !== undefined && { cause }),
    retryAfterSeconds: 1,
  });
}
