// Bounds the bodies that the store has refused and that wait for a retry: their number and their bytes. It holds no
// body.
import type { WholeBody } from "../../body/spool/spool.ts";

export interface PendingRoomOptions {
  /** The largest number of bodies. */
  readonly maxWaiting?: number | undefined;
  /** Bytes of all that wait, in memory and in files; once reached, no further body may wait. */
  readonly maxWaitingBytes?: number | undefined;
  /** As SpoolPool.room; default: no bound. */
  readonly room?: (() => number) | undefined;
}

export interface PendingRoom {
  /**
   * Check it before every wait: free disk space may have shrunk. One body may wait if there is any room. `held`: all
   * bodies.
   */
  mayWait(body: WholeBody, held: number): boolean;
  /** Returns the function that ends the wait. */
  enter(body: WholeBody): () => void;
}

const MAX_WAITING = 1_000;
const MAX_WAITING_BYTES = 268_435_456;

/** The share of the room for spool files that waiting bodies may take; the rest is for bodies that arrive. */
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
