// Keeps one slow origin from taking every fill: so many fills of a mirror run at once, the next wait a while in line,
// and what waits too long, or finds the line full, is told to come again.
import { HuiyuanError } from "../errors.ts";

export interface Bulkhead {
  /** Undefined: a place was free and is taken. Else resolves when one is; rejects with overloaded after `waitMs`. */
  enter(): Promise<void> | undefined;
  /** Gives the place to whoever has waited longest. */
  leave(): void;
  readonly waiting: number;
}

export interface BulkheadOptions {
  readonly places: number;
  readonly maxWaiting: number;
  readonly waitMs: number;
}

const RETRY_AFTER_SECONDS = 2;

export function createBulkhead({ places, maxWaiting, waitMs }: BulkheadOptions): Bulkhead {
  let free = places;
  // A Map keeps the order of arrival and lets anyone leave at once.
  const line = new Map<() => void, NodeJS.Timeout>();

  function overloaded(): HuiyuanError {
    const message = `Cannot fetch now: ${places} fetches of this mirror run and ${line.size} wait`;
    return new HuiyuanError("overloaded", message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        line.delete(resolve);
        reject(overloaded());
      };
      line.set(resolve, setTimeout(expire, waitMs));
    });
  }

  return {
    enter() {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return line.size >= maxWaiting ? Promise.reject(overloaded()) : wait();
    },
    leave() {
      const [next] = line;
      if (next === undefined) {
        free += 1;
        return;
      }
      const [admit, timer] = next;
      clearTimeout(timer);
      line.delete(admit);
      admit();
    },
    get waiting() {
      return line.size;
    },
  };
}
