// Runs functions in a thread, so that long computations do not hold the event loop. The thread starts with the first
// call and ends after a rest, because it keeps its memory.
import { once } from "node:events";
import { parentPort, Worker } from "node:worker_threads";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../core/errors.ts";

/** The functions of a thread. Arguments and results survive a structured clone. */
type Functions<Table> = { readonly [Name in keyof Table]: (...args: never[]) => unknown };

export interface Thread<Table extends Functions<Table>> {
  /** Throws the HuiyuanErrors of the function, and `internal` for others. Calls run one after another. */
  run<Name extends keyof Table>(name: Name, ...args: Parameters<Table[Name]>): Promise<ReturnType<Table[Name]>>;
}

/** `file`: calls serveThread(). It is beside the module whose `import.meta.url` is `from`. */
export interface ThreadPlace {
  readonly file: string;
  readonly from: string;
}

interface Answer {
  readonly value?: unknown;
  readonly failure?: { readonly code: ErrorCode; readonly message: string; readonly answerStatus?: number };
}

const REST_MS = 5_000;
/** With the default of 16 MB, the collector copies the tree of a large file again and again. */
const resourceLimits = { maxYoungGenerationSizeMb: 64 };

export function createThread<Table extends Functions<Table>>(place: ThreadPlace): Thread<Table> {
  let worker: Worker | undefined;
  let resting: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function call(name: keyof Table, args: readonly unknown[]): Promise<unknown> {
    clearTimeout(resting);
    worker ??= new Worker(threadUrl(place), { resourceLimits });
    worker.postMessage({ name, args });
    try {
      const [{ value, failure }] = (await once(worker, "message")) as [Answer];
      if (failure !== undefined) throw new HuiyuanError(failure.code, failure.message, failure);
      return value;
    } catch (error) {
      if (!(error instanceof HuiyuanError)) end(); // The thread has died, of too little memory.
      throw asHuiyuanError(error);
    } finally {
      resting = setTimeout(end, REST_MS).unref();
    }
  }

  function end(): void {
    void worker?.terminate();
    worker = undefined;
  }

  return {
    run(name, ...args) {
      const result = last.then(() => call(name, args)) as Promise<ReturnType<Table[typeof name]>>;
      last = result.catch(() => undefined);
      return result;
    },
  };
}

/** For the file of a thread. */
export function serveThread<Table extends Functions<Table>>(functions: Table): void {
  parentPort?.on("message", ({ name, args }: { readonly name: keyof Table; readonly args: never[] }) => {
    let answer: Answer;
    try {
      answer = { value: functions[name](...args) };
    } catch (error) {
      const { code, message, answerStatus } = asHuiyuanError(error);
      answer = { failure: { code, message, ...(answerStatus !== undefined && { answerStatus }) } };
    }
    parentPort?.postMessage(answer);
  });
}

/** Threads run the compiled program, which is in dist/ if this file runs from source. */
export function threadUrl({ file, from }: ThreadPlace): URL {
  const compiled = from.endsWith(".ts") ? from.replace(/\/src\/(?!.*\/src\/)/, "/dist/") : from;
  return new URL(file, compiled);
}
