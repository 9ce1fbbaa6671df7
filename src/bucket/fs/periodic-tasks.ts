// Chores that a store does now and then, one after another, on a timer that does not keep the process alive.
import type { Log } from "../../core/log.ts";

export interface PeriodicTask {
  /** For the log: completes "cannot …". */
  readonly action: string;
  /** Not more often than this, milliseconds. */
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
}

/**
 * Looks for due chores every `tickMs` (0: never); none is due at the start. A chore that fails is logged and tried
 * again when it is next due. `ticks`: the clock that they go by. The returned function stops the timer and waits for the chore under way.
 */
export function startPeriodicTasks(
  checkEveryMs: number,
  { clock = () => performance.now(), log }: { readonly clock?: () => number; readonly log: Log },
  tasks: readonly PeriodicTask[],
): () => Promise<void> {
  const lastRunAt = new Map<PeriodicTask, number>(tasks.map((task) => [task, clock()]));
  let running: Promise<void> | undefined;
  let isStopped = false;

  async function runDueTasks(): Promise<void> {
    for (const task of tasks) {
      if (isStopped || clock() - (lastRunAt.get(task) ?? 0) < task.everyMs) continue;
      lastRunAt.set(task, clock());
      try {
        await task.run();
      } catch (error) {
        log.warn({ err: error }, `cannot ${task.action}; will try again`);
      }
    }
  }

  const timer =
    checkEveryMs === 0
      ? undefined
      : setInterval(() => {
          running ??= runDueTasks().finally(() => {
            running = undefined;
          });
        }, checkEveryMs).unref();

  return async () => {
    isStopped = true;
    clearInterval(timer);
    await running;
  };
}
