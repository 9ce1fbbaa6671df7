// Runs a store's periodic tasks one after another, on a timer that does not keep the process alive.
import type { Log } from "../../../core/log.ts";

export interface PeriodicTask {
  /** Completes "cannot …" in the log. */
  readonly action: string;
  /** Minimum interval. Milliseconds. */
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
}

/**
 * Looks for due tasks every `checkEveryMs` (0: never). No task is due at the start. A task that fails is logged and
 * retried when it is due again. `clock`: milliseconds. The returned function stops the timer and waits for the running
 * task.
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
        log.warn({ err: error }, `cannot ${task.action}; will retry`);
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
