import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const SLOW = "test/unit/**/*.slow.test.ts";
const LAB = "test/**/*.lab.test.ts";
/** The tests of downloads with the whole program. `npm run lab` repeats them without the fast path. */
const DOWNLOADS =
  "test/{e2e/{alias-names,answers,caches-in-front,coalescing,endless-exif,explain,failover,freshness,health,processing*," +
  "query-keys,reloaded-limits,rules,s3-*,server,status-contract,stopping,taken-back,tokens},fault/faults}.test.ts";

interface Suite {
  readonly include?: string;
  /** If false, all files of a process share its loaded modules, which saves loading the program for every file. */
  readonly isolate?: boolean;
  /** Environment of the tests and of the programs that they start. */
  readonly env?: Readonly<Record<string, string>>;
}

const suite = (
  name: string,
  timeoutMs: number,
  { include = `test/${name}/**/*.test.ts`, isolate, env }: Suite = {},
) => ({
  test: {
    name,
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: [include],
    exclude: [SLOW, LAB].filter((pattern) => pattern !== include),
    setupFiles: [here("./note-worker.ts")],
    // Lets watch-workers.ts request a diagnostic report from a process that hangs.
    execArgv: ["--report-on-signal", "--report-signal=SIGUSR2"],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    ...(isolate !== undefined && { isolate }),
    ...(env !== undefined && { env }),
  },
});

export default defineConfig({
  test: {
    globalSetup: ["./name-missing.ts", "./build-first.ts", "./shared-services.ts", "./watch-workers.ts"].map(here),
    pool: "forks",
    // Twice the cores of a build machine: half of the time, tests wait for deadlines and other processes.
    maxWorkers: 4,
    // Of tests that run at the same time in one file: the pages of the documentation.
    maxConcurrency: 2,
    // `npm run check` runs `unit`, which takes half a minute; tests that take three seconds are named `*.slow.test.ts`.
    // `npm test` runs all but `lab*`, and takes six minutes. `npm run lab` runs what would make it longer: sweeps, the
    // console in Chromium, migrations. These files are named `*.lab.test.ts`.
    projects: [
      suite("unit", 10_000, { isolate: false }),
      suite("slow", 30_000, { include: SLOW }),
      suite("contract", 20_000),
      suite("e2e", 120_000),
      suite("fault", 60_000),
      suite("lab", 120_000, { include: LAB }),
      suite("lab without the fast path", 120_000, { include: DOWNLOADS, env: { HUIYUAN_FAST_PATH: "off" } }),
    ],
  },
});
