// How many things may happen at once. A request that finds no slot is told so at once; nothing queues here.

export interface FillLimit {
  /** False: all are taken. */
  take(): boolean;
  free(): void;
  /** Resolves when none is taken. */
  empty(): Promise<void>;
  readonly taken: number;
  /** A lower bound takes effect as slots are freed. */
  resize(max: number): void;
}

export function createFillLimit(max: number): FillLimit {
  let taken = 0;
  let bound = max;
  let waiting: (() => void)[] = [];
  return {
    take() {
      if (taken >= bound) return false;
      taken += 1;
      return true;
    },
    free() {
      taken -= 1;
      if (taken > 0) return;
      for (const wake of waiting) wake();
      waiting = [];
    },
    empty: () => (taken === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    get taken() {
      return taken;
    },
    resize(next) {
      bound = next;
    },
  };
}
