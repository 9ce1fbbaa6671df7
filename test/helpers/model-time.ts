// Time that goes on only when a test says so: timers, Date.now() and performance.now(). For tests with very many
// timers, where vi.useFakeTimers() takes longer the more timers wait.
import { vi } from "vitest";

export interface ModelTime {
  /** Lets time go on by milliseconds whenever nothing else happens in the process, until the promise has settled. */
  run<Result>(running: Promise<Result>): Promise<Result>;
  /** Gives the process its real time back. */
  end(): void;
}

interface Timer {
  readonly run: () => void;
  /** Undefined: once. */
  readonly everyMs: number | undefined;
  isCleared: boolean;
  ref(): Timer;
  unref(): Timer;
}

const START = 1_700_000_000_000;

export function startModelTime(): ModelTime {
  const timers = new Map<number, Timer[]>();
  let now = 0;

  function schedule(timer: Timer, ms: number): Timer {
    const at = now + Math.max(1, Math.ceil(Number.isFinite(ms) ? ms : 1));
    const due = timers.get(at);
    if (due === undefined) timers.set(at, [timer]);
    else due.push(timer);
    return timer;
  }

  function add(run: (...passed: never[]) => void, ms: number, isRepeated: boolean, passed: readonly never[]): Timer {
    const timer: Timer = {
      run: () => run(...passed),
      everyMs: isRepeated ? ms : undefined,
      isCleared: false,
      ref: () => timer,
      unref: () => timer,
    };
    return schedule(timer, ms);
  }

  function clear(timer: Timer | undefined): void {
    if (timer !== undefined) timer.isCleared = true;
  }

  function goOn(): void {
    now += 1;
    const due = timers.get(now) ?? [];
    timers.delete(now);
    for (const timer of due) {
      if (timer.isCleared) continue;
      if (timer.everyMs !== undefined) schedule(timer, timer.everyMs);
      timer.run();
    }
  }

  vi.stubGlobal("setTimeout", (run: () => void, ms = 1, ...passed: never[]) => add(run, ms, false, passed));
  vi.stubGlobal("setInterval", (run: () => void, ms = 1, ...passed: never[]) => add(run, ms, true, passed));
  vi.stubGlobal("clearTimeout", clear);
  vi.stubGlobal("clearInterval", clear);
  const clocks = [
    vi.spyOn(Date, "now").mockImplementation(() => START + now),
    vi.spyOn(performance, "now").mockImplementation(() => now),
  ];

  return {
    async run(running) {
      let isOver = false;
      const over = () => {
        isOver = true;
      };
      running.then(over, over);
      while (!isOver) {
        goOn();
        for (let turn = 0; turn < 2; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
      }
      return running;
    },
    end() {
      vi.unstubAllGlobals();
      for (const clock of clocks) clock.mockRestore();
    },
  };
}
