// A body that the disk does not keep, collected in memory for readers that need all of it (a render, for example). All
// readers share one copy, which lives while one of them holds it. The bytes of all such bodies together are bounded.

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
  /** True: take() gets the whole body, even if the spool has dropped its first bytes. */
  readonly isUnderWay: boolean;
  /**
   * Follow each call with one release(), also if it rejects. Throws not_kept if there is no room, or, with a cause, if
   * the spool has already dropped the first bytes. Throws the error of a failed or damaged body.
   */
  take(): Promise<TransientBody>;
  release(): void;
}

/** The memory for all transient bodies together. */
export interface TransientRoom {
  /** False: there is no room, and none was taken. */
  take(bytes: number): boolean;
  release(bytes: number): void;
}

export interface TransientParts {
  readonly spool: Spool;
  readonly done: Promise<FillEnd>;
  readonly room: TransientRoom;
}

/**
 * At least three of the largest images of the default settings. A body is in memory twice while its chunks are joined.
 */
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
  hash: ["origin_hash_wrong", "it differs from its declared digest"],
} as const satisfies Record<Damage, readonly [ErrorCode, string]>;

interface Collecting {
  readonly stop: AbortController;
  readonly whole: Promise<TransientBody>;
  isLost: boolean;
}

export function createTransient({ spool, done, room }: TransientParts): Transient {
  let holders = 0;
  let bytes = 0;
  let collecting: Collecting | undefined;

  function begin(): Collecting {
    const stop = new AbortController();
    const begun: Collecting = { stop, whole: wholeBody(stop.signal), isLost: false };
    // Perhaps every reader has left.
    begun.whole.catch(() => {
      begun.isLost = true;
    });
    return begun;
  }

  async function wholeBody(signal: AbortSignal): Promise<TransientBody> {
    const bytes = await collect(signal);
    const end = await done;
    if (end.kind === "failed") throw end.error;
    if (end.kind !== "unstored")
      throw new HuiyuanError("internal", `Cannot use a transient body that ended ${end.kind}`);
    const { info, damage, head } = end;
    if (damage === undefined) return { kind: "transient", info, bytes };
    const [code, found] = REFUSALS[damage];
    throw new HuiyuanError(code, `Cannot use the body of ${head.answer.url}: ${found}`);
  }

  async function collect(signal: AbortSignal): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    spool.hold();
    try {
      for (;;) {
        const chunk = spool.peek(size) ?? (await next(spool, size, signal));
        signal.throwIfAborted();
        if (chunk === undefined) break;
        if (!room.take(chunk.length)) throw notStorableError("there is no room to collect it");
        bytes += chunk.length;
        size += chunk.length;
        chunks.push(chunk);
      }
    } finally {
      spool.release();
    }
    const all = bodyRoom(size);
    let filled = 0;
    for (const chunk of chunks) filled += chunk.copy(all, filled);
    return all;
  }

  return {
    get isUnderWay() {
      return collecting?.isLost === false;
    },
    take() {
      holders += 1;
      collecting ??= begin();
      return collecting.whole;
    },
    release() {
      holders -= 1;
      if (holders > 0) return;
      collecting?.stop.abort(new Error("no reader is left"));
      collecting = undefined;
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
    throw notStorableError("its first bytes are gone", error);
  }
}

function notStorableError(found: string, cause?: HuiyuanError): HuiyuanError {
  return new HuiyuanError("not_kept", `Cannot use an image that the disk does not keep: ${found}`, {
    ...(cause !== undefined && { cause }),
    retryAfterSeconds: 1,
  });
}
