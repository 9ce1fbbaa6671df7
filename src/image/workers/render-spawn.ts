// How a render process is begun: its flags, its environment and its pipe. What it is used for is the pool's affair.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ProcessArguments } from "./render-messages.ts";

/**
 * It computes in libvips, not in JavaScript: no helpers for a heap that stays small. Saves some 10 MB a process. Sharp makes an
 * Error for each image, in case that one fails; nobody reads where it was made. Large pixels are collected between passes (memory.ts).
 */
const NODE_FLAGS = ["--single-threaded", "--max-semi-space-size=1", "--stack-trace-limit=0", "--expose-gc"];

/** Its pipe is `stdio[SOCKET]`. `maxResidentBytes`: of memory that it may have. */
export function spawnRenderProcess(maxResidentBytes: number): ChildProcess {
  const args = [...NODE_FLAGS, processPath(), ...([String(maxResidentBytes)] satisfies ProcessArguments)];
  return spawn(process.execPath, args, { env: processEnvironment(), stdio: ["ignore", "ignore", "ignore", "pipe"] });
}

/** Processes run the built program: when this file is run from source, that is in dist/. */
function processPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(
    new URL(isSource ? "../../../dist/image/workers/render-process.js" : "./render-process.js", import.meta.url),
  );
}

/** Nothing secret, two arenas (glibc keeps what threads free), large blocks apart (they leave holes there), and no more threads than one render needs. */
function processEnvironment(): NodeJS.ProcessEnv {
  const set = INHERITED.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]);
  return { ...Object.fromEntries(set), ...MALLOC };
}
const INHERITED = ["PATH", "HOME", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "XDG_CACHE_HOME"];
const MALLOC = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: String(4 * 1024 * 1024), UV_THREADPOOL_SIZE: "2" };
