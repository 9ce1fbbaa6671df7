import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const SLOW = "test/unit/**/*.slow.test.ts";

/**
 * `unit` runs at every commit (`npm run check`) and is to stay below half a minute: what takes seconds is named `*.slow.test.ts`.
 * The others start real servers, or render, or wait (`npm test` runs all).
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
    globalSetup: ["./name-missing.ts", "./build-first.ts", "./shared-services.ts", "./watch-workers.ts"].map(here),
    pool: "forks",
    maxWorkers: 2,
    projects: [
      suite("unit", 10_000),
      suite("slow", 30_000, SLOW),
      suite("contract", 20_000),
      suite("e2e", 120_000),
      suite("fault", 60_000),
    ],
  },
});
