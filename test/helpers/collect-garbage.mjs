// Preloaded into the program (with --expose-gc) by tests that measure memory. On SIGUSR2 it collects the main thread's
// garbage, returns free pages to the system, and prints the remaining sizes.
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  process.on("SIGUSR2", () => {
    globalThis.gc();
    globalThis.gc({ type: "major", execution: "sync", flavor: "last-resort" });
    process.stderr.write(`left ${JSON.stringify(process.memoryUsage())}\n`);
  });
}
