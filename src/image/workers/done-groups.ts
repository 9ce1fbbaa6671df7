// Under load, images that are done go on in groups. Each render goes through more memory than a processor's caches hold, so that
// whatever is done between two renders begins with cold ones; eight results stored and answered in a row, and the eight
// requests that follow them, cost the server's event loop a third less than one after each render. Only behind a line, where an
// image has waited already.

export interface DoneGroups {
  /** Resolves when a result of so many bytes goes on: at once where fewer wait for a render than have gathered, else within 75 ms. */
  gather(bytes: number): Promise<void>;
}

const MOST = 8;
const GATHER_MS = 75;
/** What is larger costs more itself than caches do, and shall not be held eight times. */
const SMALL_BYTES = 1024 * 1024;

/** `waiting`: how many images wait for a render. */
export function createDoneGroups(waiting: () => number): DoneGroups {
  let gathered: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;

  function goOn(): void {
    clearTimeout(timer);
    timer = undefined;
    const group = gathered;
    gathered = [];
    for (const resolve of group) resolve();
  }

  return {
    gather: (bytes) =>
      new Promise((resolve) => {
        gathered.push(resolve);
        if (bytes > SMALL_BYTES || gathered.length >= Math.min(MOST, waiting())) goOn();
        else timer ??= setTimeout(goOn, GATHER_MS);
      }),
  };
}
