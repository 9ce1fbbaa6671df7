import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Quick suites run at every commit (`npm run check`); the others start real servers (`npm test` runs all). */
const suite = (name: string, timeoutMs: number) => ({
  test: {
    name,
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
  },
});

export default defineConfig({
  test: {
    globalSetup: ["./build-first.ts", "./shared-services.ts"].map((file) =>
      fileURLToPath(new URL(file, import.meta.url)),
    ),
    pool: "forks",
    maxWorkers: 2,
    projects: [suite("unit", 10_000), suite("contract", 20_000), suite("e2e", 120_000), suite("fault", 60_000)],
  },
});
