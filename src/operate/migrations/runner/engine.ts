// Works on many objects at once: at the pace that source and target allow, each within a deadline and with retries. The
// pauses of all grow while nothing succeeds, and a source that is down ends the run.
import { EventEmitter, once, setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { abortable } from "../../../async/cancellation.ts";
import { asHuiyuanError, errorRow, HuiyuanError } from "../../../core/errors.ts";
import type { ToolOptions } from "../config/config.ts";
import { describeFailure, type Failure } from "../sources/failure.ts";
import { createPace, type PaceOptions } from "./pace.ts";

export interface EngineOptions extends PaceOptions, Pick<ToolOptions, "retries" | "timeoutMs"> {
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

const MAX_PAUSE_MS = 60_000;
/** The run ends after as many attempts in a row without an answer of source or target, and after OUTAGE_MS. */
const MAX_FAILURES_IN_ROW = 100;
const OUTAGE_MS = 60_000;
/** A slower transfer is given up. */
const MIN_BYTES_PER_SECOND = 16_384;

export function createEngine(options: EngineOptions, firstPauseMs = 500, outageMs = OUTAGE_MS) {
  const { retries, stop, kill } = options;
  const pace = createPace(options);
  const changes = new EventEmitter().setMaxListeners(0);
  const ending = new AbortController();
  setMaxListeners(0, ending.signal, kill);
  let abortReason: HuiyuanError | undefined;
  let running = 0;
  /** Attempts since source and target answered last, and when the first one failed. */
  let [inRow, failingSince] = [0, 0];

  const notify = () => void changes.emit("change");
  function end(): void {
    ending.abort();
    notify();
  }
  function abort(error: unknown): void {
    abortReason ??= asHuiyuanError(error);
    end();
  }
  for (const signal of [stop, kill]) {
    if (signal.aborted) end();
    signal.addEventListener("abort", end);
  }

  async function tryOnce<Result extends Done>(item: Item, step: (signal: AbortSignal) => Promise<Result>) {
    try {
      const done = await withinTime(item, options, step);
      pace.succeeded(done.bytes);
      inRow = 0;
      return done;
    } catch (error) {
      if (kill.aborted || (error instanceof HuiyuanError && errorRow(error.code).retry === "hopeless")) throw error;
      const failure = describeFailure(error);
      const retryAfterMs = Math.min(failure.retryAfterMs ?? 0, MAX_PAUSE_MS);
      inRow = failure.isTransient ? inRow + 1 : 0;
      if (inRow === 1) failingSince = performance.now();
      // The pause grows, so that an outage does not use up all objects.
      if (failure.isTransient) pace.congested(retryAfterMs || firstPauseMs * Math.min(inRow / 50, 4));
      return { ...failure, retryAfterMs };
    }
  }

  async function attempt<Result extends Done>(item: Item, step: (signal: AbortSignal) => Promise<Result>) {
    for (let tries = 0; ; tries += 1) {
      const found = await tryOnce(item, step);
      if ("outcome" in found) return found;
      if (found.isTransient && tries < retries) {
        await delay(Math.max(found.retryAfterMs, firstPauseMs * 2 ** tries), undefined, { signal: kill });
        continue;
      }
      const message = `The run ends early: source or target do not answer. ${found.log}`;
      if (inRow >= MAX_FAILURES_IN_ROW && performance.now() - failingSince >= outageMs)
        abort(new HuiyuanError("overloaded", message));
      return found;
    }
  }

  return {
    /** Aborted once no further object may begin. */
    // Named here, because the file of declarations could not name the type otherwise.
    ending: ending.signal as AbortSignal,
    /** The reason why the run ends before all objects were tried. */
    get abortReason(): HuiyuanError | undefined {
      return abortReason;
    },
    /** Lets no further object begin. */
    end,
    /** Wakes those who wait for changed(). */
    notify,
    /** Resolves at the next notify(), or once an object is done. Throws if no further object may begin. */
    async changed(): Promise<void> {
      if (!ending.signal.aborted) await once(changes, "change");
      ending.signal.throwIfAborted();
    },
    /** Never rejects. A step that throws is described and retried. */
    async run<Each extends Item, Result extends Done>(
      items: AsyncIterable<Each>,
      { step, settle, flush }: Work<Each, Result>,
    ): Promise<void> {
      try {
        for await (const item of items) {
          const release = await pace.begin(ending.signal, item.isLookup !== true);
          running += 1;
          const settled = attempt(item, (signal) => step(item, signal)).then((found) => settle(item, found));
          void settled
            .catch((error: unknown) => kill.aborted || abort(error))
            .finally(() => {
              running -= 1;
              release();
              notify();
            });
        }
      } catch (error) {
        if (!ending.signal.aborted) abort(error);
      }
      while (running > 0) await once(changes, "change");
      try {
        flush();
      } catch (error) {
        abort(error);
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
  const limitMs = 2 * timeoutMs + (1_000 * Math.min(size ?? maxBytes, maxBytes)) / MIN_BYTES_PER_SECOND;
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
