// Preloaded into the program (with --expose-gc) by tests that ask what it holds: SIGUSR2 collects all garbage of its main
// thread and gives the pages back, and says what is left.
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  process.on("SIGUSR2", () => {
    globalThis.gc();
    globalThis.gc({ type: "major", execution: "sync", flavor: "last-resort" });
    process.stderr.write(`left ${JSON.stringify(process.memoryUsage())}\n`);
  });
}
