import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const SLOW = "test/unit/**/*.slow.test.ts";

/**
 * `unit` runs at every commit (`npm run check`) and is to stay below half a minute: what takes seconds is named `*.slow.test.ts`.
 * The others start real servers, or render, or wait (`npm test` runs all).
 *
 * The times are for a machine that has much else to do, and longer than what tests wait for: that says what did not come.
 */
const suite = (name: string, timeoutMs: number, include = `test/${name}/**/*.test.ts`) => ({
  test: {
    name,
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: [include],
    exclude: include === SLOW ? [] : [SLOW],
    setupFiles: [here("./note-worker.ts")],
    // What watch-workers.ts asks a process for that hangs.
    execArgv: ["--report-on-signal", "--report-signal=SIGUSR2"],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
  },
});

export default defineConfig({
  test: {
    globalSetup: ["./build-first.ts", "./shared-services.ts", "./watch-workers.ts"].map(here),
    pool: "forks",
    maxWorkers: 2,
    projects: [
      suite("unit", 30_000),
      suite("slow", 30_000, SLOW),
      suite("contract", 60_000),
      suite("e2e", 120_000),
      suite("fault", 180_000),
    ],
  },
});
