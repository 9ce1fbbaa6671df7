// Disks that fail under a running program: system calls that answer with an error from now until repaired, and small
// file systems that fill up.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { eventually } from "../../helpers/program.ts";
import type { DiskCall } from "./run-child.ts";

/**
 * Makes the calls of every thread but the main one fail with `errno`; where `files` are named, theirs alone, and the main thread's,
 * too. The returned function repairs the disk.
 */
export function breakDisk(
  pid: number,
  { calls, errno, files }: Tampered & { readonly errno: string },
): Promise<() => Promise<void>> {
  return tamper(pid, { calls, ...(files !== undefined && { files }) }, `error=${errno}`);
}

/** As `breakDisk`, but each of the calls takes `seconds` before it is carried out. Its thread ends no sooner, whatever ends the process. */
export function slowDisk(pid: number, { calls, seconds }: Tampered & { readonly seconds: number }) {
  return tamper(pid, { calls }, `delay_enter=${seconds * 1_000_000}`);
}

/** Whether a call that `slowDisk` has slowed is under way. */
export function isHeldUp(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some((thread) => /^State:\s+t/m.test(statusOf(pid, thread)));
}

/** Whether the process has ended, but for calls that are held up. */
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
  // The main thread does no writing to the disk, but to the clients' sockets, which must stay well.
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

/** A small file system in memory at `folder`, which is made. `unmount` it before the folder is removed. */
export async function mountSmall(folder: string, size: string): Promise<{ unmount(): void }> {
  await mkdir(folder, { recursive: true });
  run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  return { unmount: () => run("umount", ["--lazy", folder]) };
}

/** Of a mounted file system on which no file is open for writing. */
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
    // It is full.
  } finally {
    await file.close();
  }
}
