// Chores that a store does now and then, one after another, on a timer that does not keep the process alive.
import type { Log } from "../../core/log.ts";

export interface Chore {
  /** For the log: completes "cannot …". */
  readonly what: string;
  /** Not more often than this, milliseconds. */
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
}

/**
 * Looks for due chores every `tickMs` (0: never); none is due at the start. A chore that fails is logged and tried
 * again when it is next due. `ticks`: the clock that they go by. The returned function stops the timer and waits for the chore under way.
 */
export function startTending(
  tickMs: number,
  { ticks = () => performance.now(), log }: { readonly ticks?: () => number; readonly log: Log },
  chores: readonly Chore[],
): () => Promise<void> {
  const doneAt = new Map<Chore, number>(chores.map((chore) => [chore, ticks()]));
  let round: Promise<void> | undefined;
  let isStopped = false;

  async function doChores(): Promise<void> {
    for (const chore of chores) {
      if (isStopped || ticks() - (doneAt.get(chore) ?? 0) < chore.everyMs) continue;
      doneAt.set(chore, ticks());
      try {
        await chore.run();
      } catch (error) {
        log.warn({ err: error }, `cannot ${chore.what}; will try again`);
      }
    }
  }

  const timer =
    tickMs === 0
      ? undefined
      : setInterval(() => {
          round ??= doChores().finally(() => {
            round = undefined;
          });
        }, tickMs).unref();

  return async () => {
    isStopped = true;
    clearInterval(timer);
    await round;
  };
}
