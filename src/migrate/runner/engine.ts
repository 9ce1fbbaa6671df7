// Works on many objects at once: at the pace that source and target allow, each within a deadline and with retries. A
// budget bounds the retries of a run, so that a source that is down is not requested three times for each object.
import { EventEmitter, once, setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { abortable } from "../../async/cancellation.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { describeFailure, type Failure } from "./failure.ts";
import { createPace, type PaceOptions } from "./pace.ts";

export interface EngineOptions extends PaceOptions {
  /** Attempts after the first. */
  readonly retries: number;
  /** Source and target may be without progress for this time. Milliseconds. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Once aborted, no further object begins; those in flight are finished. */
  readonly stop: AbortSignal;
  /** Once aborted, objects in flight are given up too. */
  readonly kill: AbortSignal;
}

export interface Item {
  readonly fileid: string;
  readonly size: number | undefined;
  /** True: nothing is fetched, so the limits a second do not count. */
  readonly isLookup?: boolean;
}

/** `bytes`: those that count for the limit on bytes a second. */
interface Done {
  readonly outcome: string;
  readonly bytes: number;
}

export interface Work<Each extends Item, Result extends Done> {
  step(item: Each, signal: AbortSignal): Promise<Result>;
  /** Gets the last result of each object. */
  settle(item: Each, found: Result | Failure): void;
  /** Called at the end. An error of it or of settle() ends the run. */
  flush(): void;
}

export interface Engine {
  /** Aborted once no further object may begin: stopped, or ended by trouble. */
  readonly ending: AbortSignal;
  /** The reason why the run ends before all objects were tried. */
  readonly trouble: HuiyuanError | undefined;
  /** Wakes those who wait for changed(). */
  ring(): void;
  /** Resolves at the next ring(), or once an object is done. Throws if no further object may begin. */
  changed(): Promise<void>;
  /** Never rejects. A step that throws is described and retried. */
  run<Each extends Item, Result extends Done>(items: AsyncIterable<Each>, work: Work<Each, Result>): Promise<void>;
}

const MAX_PAUSE_MS = 60_000;
const BUDGET = 100;
const EARNED = 0.1;
/** As many objects in a row that source or target did not answer for. */
const USELESS = 200;
/** A slower transfer is given up. Bytes a second. */
const SLOWEST = 16_384;

export function createEngine(options: EngineOptions, firstPauseMs = 500): Engine {
  const { retries, stop, kill } = options;
  const pace = createPace(options);
  const bell = new EventEmitter().setMaxListeners(0);
  const ending = new AbortController();
  setMaxListeners(0, ending.signal, kill);
  let trouble: HuiyuanError | undefined;
  let [running, budget, inRow] = [0, BUDGET, 0];

  const ring = () => void bell.emit("ring");
  function finish(): void {
    ending.abort();
    ring();
  }
  function end(error: unknown): void {
    trouble ??= asHuiyuanError(error);
    finish();
  }
  for (const signal of [stop, kill]) {
    if (signal.aborted) finish();
    signal.addEventListener("abort", finish);
  }

  async function tryOnce<Result extends Done>(item: Item, step: (signal: AbortSignal) => Promise<Result>) {
    try {
      const done = await withinTime(item, options, step);
      pace.succeeded(done.bytes);
      budget = Math.min(BUDGET, budget + EARNED);
      inRow = 0;
      return done;
    } catch (error) {
      // Every further object would fail too.
      if (kill.aborted || (error instanceof HuiyuanError && error.code === "store_full")) throw error;
      const failure = describeFailure(error);
      const retryAfterMs = Math.min(failure.retryAfterMs ?? 0, MAX_PAUSE_MS);
      if (failure.isTransient) pace.congested(retryAfterMs);
      return { ...failure, retryAfterMs };
    }
  }

  async function attempt<Result extends Done>(item: Item, step: (signal: AbortSignal) => Promise<Result>) {
    for (let tries = 0; ; tries += 1) {
      const found = await tryOnce(item, step);
      if ("outcome" in found) return found;
      if (found.isTransient && tries < retries && budget >= 1) {
        budget -= 1;
        await delay(Math.max(found.retryAfterMs, firstPauseMs * 2 ** tries), undefined, { signal: kill });
        continue;
      }
      inRow = found.isTransient ? inRow + 1 : 0;
      const message = `The run ends early: source or target do not answer. ${found.log}`;
      if (inRow >= USELESS) end(new HuiyuanError("overloaded", message));
      return found;
    }
  }

  return {
    ending: ending.signal,
    get trouble() {
      return trouble;
    },
    ring,
    async changed() {
      if (!ending.signal.aborted) await once(bell, "ring");
      ending.signal.throwIfAborted();
    },
    async run(items, { step, settle, flush }) {
      try {
        for await (const item of items) {
          const release = await pace.begin(ending.signal, item.isLookup !== true);
          running += 1;
          const settled = attempt(item, (signal) => step(item, signal)).then((found) => settle(item, found));
          void settled
            .catch((error: unknown) => kill.aborted || end(error))
            .finally(() => {
              running -= 1;
              release();
              ring();
            });
        }
      } catch (error) {
        if (!ending.signal.aborted) end(error);
      }
      while (running > 0) await once(bell, "ring");
      try {
        flush();
      } catch (error) {
        end(error);
      }
    },
  };
}

/** Throws origin_timeout if the work on the object takes too long for its size, and the reason of `kill`. */
async function withinTime<Result>(
  { fileid, size }: Item,
  { timeoutMs, maxBytes, kill }: EngineOptions,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limitMs = 2 * timeoutMs + (1_000 * Math.min(size ?? maxBytes, maxBytes)) / SLOWEST;
  const late = `Cannot copy "${fileid}": it took more than ${Math.ceil(limitMs / 1_000)} s`;
  const own = new AbortController();
  const giveUp = () => own.abort(kill.reason);
  const timer = setTimeout(() => own.abort(new HuiyuanError("origin_timeout", late)), limitMs);
  kill.addEventListener("abort", giveUp);
  try {
    kill.throwIfAborted();
    // Aborted work cleans up after itself.
    return await abortable(work(own.signal), own.signal);
  } catch (error) {
    own.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    kill.removeEventListener("abort", giveUp);
  }
}
