// A thread of batch-worker.test.ts: answers a batch with the names of its operations, and ends at a batch with "die".
import { parentPort } from "node:worker_threads";

parentPort.on("message", ({ kind, batch }) => {
  const names = batch?.operations.map(({ name }) => name) ?? [];
  if (names.includes("throw")) throw new Error("broken");
  if (kind === "close" || names.includes("die")) process.exit(3);
  parentPort.postMessage({ kind: "outcomes", outcomes: names.map((answer) => ({ ok: true, answer })) });
});
parentPort.postMessage({ kind: "ready" });
