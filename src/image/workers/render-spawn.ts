// Starts a render process: its flags, its environment and its pipe. The pool decides when to start one and uses it.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ProcessArguments } from "./render-messages.ts";

/**
 * The process computes in libvips, not in JavaScript, so that V8 needs no helper threads for its small heap; this saves
 * 10 MB a process. Sharp makes an Error for each image in case it fails, and its stack is never read. `--expose-gc`
 * lets memory.ts free large pixel buffers between passes.
 */
const NODE_FLAGS = ["--single-threaded", "--max-semi-space-size=1", "--stack-trace-limit=0", "--expose-gc"];

/** Its pipe is `stdio[SOCKET]`. `maxResidentBytes`: bytes of memory that it may have. */
export function spawnRenderProcess(maxResidentBytes: number): ChildProcess {
  const args = [...NODE_FLAGS, processPath(), ...([String(maxResidentBytes)] satisfies ProcessArguments)];
  return spawn(process.execPath, args, { env: processEnvironment(), stdio: ["ignore", "ignore", "ignore", "pipe"] });
}

/** Processes run the built program; if this file runs from source, the built program is in dist/. */
function processPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(
    new URL(isSource ? "../../../dist/image/workers/render-process.js" : "./render-process.js", import.meta.url),
  );
}

/**
 * No secrets. Two malloc arenas, because glibc keeps memory freed by threads. Large blocks by mmap, because they
 * fragment the arenas. As many threads as one render needs.
 */
function processEnvironment(): NodeJS.ProcessEnv {
  const set = INHERITED.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]);
  return { ...Object.fromEntries(set), ...MALLOC };
}
const INHERITED = ["PATH", "HOME", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "XDG_CACHE_HOME"];
const MALLOC = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: String(4 * 1024 * 1024), UV_THREADPOOL_SIZE: "2" };
