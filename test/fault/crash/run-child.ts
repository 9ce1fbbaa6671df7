// Runs store-child.ts, under strace if system calls must be counted, killed or made to fail.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "../../helpers/program.ts";
import type { S3Behind } from "./open-store.ts";
import type { Report } from "./store-child.ts";
import type { StoreOperation } from "./store-model.ts";

const CHILD = fileURLToPath(new URL("store-child.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DEADLINE_MS = 40_000;

/** The calls by which a store changes the disk. */
export const DISK_CALLS = [
  "fsync",
  "fdatasync",
  "rename",
  "link",
  "unlink",
  "mkdir",
  "ftruncate",
  "pwrite64",
  "pwritev",
] as const;
export type DiskCall = (typeof DISK_CALLS)[number];

/** A fault at the `when`-th of these calls, counted separately in each thread. */
export interface Injection {
  readonly call: DiskCall;
  readonly when: number;
  /** `KILL`: the process is killed before the call; an errno: the call fails with it, once. */
  readonly what: "KILL" | "EIO" | "ENOSPC";
  /** Sends SIGKILL as soon as a step has failed. */
  readonly isFatal?: boolean;
}

export interface ChildRun {
  readonly reports: readonly Report[];
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Resolves once the child has ended: by itself, by its wrapping command, or by SIGKILL `killAfterMs` after its first
 * output.
 */
export async function runChild(
  dir: string,
  operations: readonly StoreOperation[],
  options: {
    readonly wrap?: readonly string[];
    readonly killAfterMs?: number;
    readonly isFatal?: boolean;
    readonly behind?: S3Behind | undefined;
  } = {},
): Promise<ChildRun> {
  const { wrap = [], killAfterMs, isFatal = false, behind } = options;
  const given = [
    dir,
    JSON.stringify(operations),
    isFatal ? "die" : "go on",
    ...(behind ? [JSON.stringify(behind)] : []),
  ];
  const [command = process.execPath, ...before] = [...wrap, process.execPath];
  const child = spawn(command, [...before, "--import", "tsx", CHILD, ...given], {
    cwd: ROOT,
    // One file-system thread, so that the pool's calls are counted in one sequence.
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let complained = "";
  let timer: NodeJS.Timeout | undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (killAfterMs !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complained += chunk.toString();
  });
  try {
    const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    const [status, signal] = await within(closed, DEADLINE_MS, () => `the child did not end:\n${said}${complained}`);
    if (status !== 0 && signal === null) throw new Error(`the child failed (${status}):\n${said}${complained}`);
    return { reports: reportsIn(said), status, signal };
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

/** The last line of a killed child may be incomplete. */
function reportsIn(said: string): Report[] {
  const lines = said.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Report);
}

/** Runs the child with one fault. */
export function runWithFault(
  dir: string,
  operations: readonly StoreOperation[],
  fault: Injection,
  behind?: S3Behind,
): Promise<ChildRun> {
  const effect = fault.what === "KILL" ? "signal=KILL" : `error=${fault.what}`;
  const inject = `inject=${fault.call}:${effect}:when=${fault.when}`;
  // With --seccomp-bpf, which skips other calls, strace 6 injects no signal.
  const faster = fault.what === "KILL" ? [] : ["--seccomp-bpf"];
  const wrap = ["strace", "-f", ...faster, "-qq", "-o", "/dev/null", "-e", `trace=${fault.call}`, "-e", inject];
  return runChild(dir, operations, { wrap, isFatal: fault.isFatal ?? false, behind });
}

/** Counts each call in the thread that makes the most of them. */
export async function countCalls(
  dir: string,
  operations: readonly StoreOperation[],
  behind?: S3Behind,
): Promise<ReadonlyMap<DiskCall, number>> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-strace-"));
  try {
    const log = join(folder, "log");
    const wrap = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", `trace=${DISK_CALLS.join(",")}`];
    await runChild(dir, operations, { wrap, behind });
    return mostByCall(await readFile(log, "latin1"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function mostByCall(log: string): Map<DiskCall, number> {
  const byThread = new Map<string, number>();
  for (const [, thread, call] of log.matchAll(/^(\d+) +(\w+)\(/gm)) {
    byThread.set(`${call} ${thread}`, (byThread.get(`${call} ${thread}`) ?? 0) + 1);
  }
  const most = new Map<DiskCall, number>();
  for (const [name, count] of byThread) {
    const call = name.split(" ")[0] as DiskCall; // only those calls were traced
    most.set(call, Math.max(most.get(call) ?? 0, count));
  }
  return most;
}
