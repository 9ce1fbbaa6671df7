// The thread's side of batch-worker.ts: opens the database, runs one batch after the other and returns its outcomes.
import { parentPort, workerData } from "node:worker_threads";
import { asHuiyuanError } from "../core/errors.ts";
import type { Batch, FromThread, OperationResult, ThreadData, ToThread } from "./batch-worker.ts";

export interface BatchRunner<Operation> {
  /** Returns the outcome of each operation, in order. Never throws. */
  run(batch: Batch<Operation>): readonly OperationResult[];
  close(): void;
}

/** For the file of a thread. The starter gets the errors of `open`. `notify` calls its onNotice(). */
export function serveBatches<Data, Operation>(
  open: (
    data: Data,
    parts: { readonly shared: SharedArrayBuffer; readonly notify: (fields: object) => void },
  ) => BatchRunner<Operation>,
): void {
  const port = parentPort;
  if (port === null) return;
  const answer = (message: FromThread) => port.postMessage(message);
  try {
    const { data, shared } = workerData as ThreadData<Data>;
    const runner = open(data, {
      shared,
      notify: (fields) => answer({ kind: "notice", fields }),
    });
    port.on("message", (message: ToThread<Operation>) => {
      if (message.kind === "batch") answer({ kind: "outcomes", outcomes: runner.run(message.batch) });
      else {
        runner.close();
        port.close();
      }
    });
    answer({ kind: "ready" });
  } catch (error) {
    const { code, message } = asHuiyuanError(error);
    answer({ kind: "failed", code, message });
    port.close();
  }
}
