// Makes disks fail under a running program: system calls that return an error until repaired, and small file systems
// that fill up.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { eventually } from "../../helpers/program.ts";
import type { DiskCall } from "./run-child.ts";

/**
 * Makes system calls of every thread but the main one fail with `errno`. If `files` are given, only calls on them fail,
 * in the main thread too. The returned function repairs the disk.
 */
export function breakDisk(
  pid: number,
  { calls, errno, files }: Tampered & { readonly errno: string },
): Promise<() => Promise<void>> {
  return tamper(pid, { calls, ...(files !== undefined && { files }) }, `error=${errno}`);
}

/**
 * As `breakDisk`, but each call is delayed by `seconds` instead. Its thread cannot end before that, even if the process
 * is killed.
 */
export function slowDisk(pid: number, { calls, seconds }: Tampered & { readonly seconds: number }) {
  return tamper(pid, { calls }, `delay_enter=${seconds * 1_000_000}`);
}

/** Returns whether a call delayed by `slowDisk` is in progress. */
export function isHeldUp(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some((thread) => /^State:\s+t/m.test(statusOf(pid, thread)));
}

/** Returns whether the process has ended, except for delayed calls. */
export function hasEnded(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(statusOf(pid, String(pid)));
  } catch {
    return true;
  }
}

interface Tampered {
  readonly calls: readonly (DiskCall | "pread64")[];
  readonly files?: readonly string[];
}

async function tamper(pid: number, { calls, files = [] }: Tampered, how: string): Promise<() => Promise<void>> {
  // The main thread does not write to the disk, but it writes to clients' sockets, which must keep working.
  const isBroken = (thread: string) => files.length > 0 || thread !== String(pid);
  const threads = readdirSync(`/proc/${pid}/task`).filter(isBroken);
  const list = calls.join(",");
  const strace = spawn(
    "strace",
    [
      ...["-qq", "-o", "/dev/null", "-e", `trace=${list}`, "-e", `inject=${list}:${how}`],
      ...files.flatMap((file) => ["-P", file]),
      ...threads.flatMap((thread) => ["-p", thread]),
    ],
    { stdio: "ignore" },
  );
  const isTraced = (thread: string) => /^TracerPid:\s+[1-9]/m.test(statusOf(pid, thread));
  await eventually(() => threads.every(isTraced), "every thread is traced");
  return async () => {
    if (strace.exitCode !== null || strace.signalCode !== null) return;
    const ended = once(strace, "exit");
    strace.kill("SIGINT");
    await ended;
  };
}

function statusOf(pid: number, thread: string): string {
  return readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
}

/** Makes `folder` and mounts a small in-memory file system there. Call `unmount` before the folder is removed. */
export async function mountSmall(folder: string, size: string): Promise<{ unmount(): void }> {
  await mkdir(folder, { recursive: true });
  run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  return { unmount: () => run("umount", ["--lazy", folder]) };
}

/** Remounts a file system read-only. No file on it may be open for writing. */
export function makeReadOnly(folder: string): void {
  run("mount", ["-o", "remount,ro", folder]);
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

/** Writes until the disk is full. */
export async function fillDisk(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (;;) await file.write(Buffer.alloc(4_096));
  } catch {
    // The disk is full.
  } finally {
    await file.close();
  }
}
