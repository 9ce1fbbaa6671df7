// So many exchanges of one origin at once; the others wait in order. undici has a queue of its own, but nobody can leave
// it: after an outage the living would stand behind the dead, each of which costs a dial to find out.
import { LiveSet } from "../../async/live-map.ts";
import type { Lifetime } from "./lifetime.ts";

export interface Semaphore {
  /**
   * Resolves with the function that gives the slot back, to be called once. Throws the lifetime's failure. The queue is
   * as long as there are requests, which whoever asks bounds.
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
