// Bounds the simultaneous exchanges of one origin; the others wait in order. undici has a queue of its own, but
// requests cannot leave it. After an outage, live requests would stand behind dead ones, each of which costs a dial.
import { LiveSet } from "../../async/live-map.ts";
import type { Lifetime } from "./lifetime.ts";

export interface Semaphore {
  /**
   * Resolves with the function that releases the slot; call it once. Throws the lifetime's failure. The queue is not
   * bounded here: the caller bounds its requests.
   */
  take(lifetime: Pick<Lifetime, "failure" | "watch">): Promise<() => void>;
}

export function createSemaphore(count: number): Semaphore {
  let free = count;
  const queue = new LiveSet<() => void>();
  const release = () => {
    const { first } = queue;
    if (first === undefined) free += 1;
    else first();
  };
  return {
    take(lifetime) {
      return new Promise((resolve, reject) => {
        let leaveQueue: (() => void) | undefined;
        const enter = () => {
          leaveQueue?.();
          resolve(release);
        };
        lifetime.watch((reason) => {
          leaveQueue?.();
          reject(reason);
        });
        if (lifetime.failure !== undefined) return;
        if (free === 0) {
          leaveQueue = queue.add(enter);
          return;
        }
        free -= 1;
        enter();
      });
    },
  };
}
