// How many things may happen at once. A request that finds no slot is told so at once; nothing queues here.

export interface Slots {
  /** False: all are taken. */
  take(): boolean;
  free(): void;
  readonly taken: number;
  /** A lower bound takes effect as slots are freed. */
  resize(max: number): void;
}

export function createSlots(max: number): Slots {
  let taken = 0;
  let bound = max;
  return {
    take() {
      if (taken >= bound) return false;
      taken += 1;
      return true;
    },
    free() {
      taken -= 1;
    },
    get taken() {
      return taken;
    },
    resize(next) {
      bound = next;
    },
  };
}
