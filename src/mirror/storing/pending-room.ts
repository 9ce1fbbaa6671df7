// How many of the bodies that the store refuses may be held for another try, and how large they may be together.
import type { WholeBody } from "../../body/spool/spool.ts";

export interface PendingRoomOptions {
  /** Bodies held for another try at the most. */
  readonly maxWaiting?: number | undefined;
  /** Bytes of all that are held, in memory and in files: when there are so many, one more may not wait. */
  readonly maxWaitingBytes?: number | undefined;
  /** As SpoolPool.room; default no bound. */
  readonly room?: (() => number) | undefined;
}

export interface PendingRoom {
  /** Asked before every wait: what is free on the disk may have become less. One may always wait where there is any room. `held`: all bodies. */
  mayWait(body: WholeBody, held: number): boolean;
  /** Returns how it is left. */
  enter(body: WholeBody): () => void;
}

const MAX_WAITING = 1_000;
const MAX_WAITING_BYTES = 268_435_456;

/** What bodies in files that wait may take of the room for all spool files: the rest is for those that arrive. */
export function roomToWait(room: number): number {
  return Math.min(MAX_WAITING_BYTES, room / 2);
}

export function createPendingRoom(options: PendingRoomOptions): PendingRoom {
  const { maxWaiting = MAX_WAITING, maxWaitingBytes = MAX_WAITING_BYTES } = options;
  const { room = () => Number.POSITIVE_INFINITY } = options;
  let waitingBytes = 0;
  return {
    mayWait({ content }, held) {
      const maxBytes = content.kind === "file" ? Math.min(maxWaitingBytes, roomToWait(room())) : maxWaitingBytes;
      return held <= maxWaiting && waitingBytes < maxBytes;
    },
    enter({ size }) {
      waitingBytes += size;
      return () => {
        waitingBytes -= size;
      };
    },
  };
}
