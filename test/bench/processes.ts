// Runs other programs under measurement: starts them on one core, reads their CPU time and memory from /proc, and stops
// them.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { within } from "../helpers/program.ts";

/** Servers run on one core, load and origin on the other, so that they do not compete for CPU time. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

// Debian installs servers in /usr/sbin, which is not on every user's PATH.
const ENV = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };

/** Kernel ticks per second in /proc/<pid>/stat: 100 on Linux, independent of the kernel's own rate. */
const TICK_MICROS = 10_000;

export function pinnedTo(core: number): readonly string[] {
  return ["taskset", "-c", String(core)];
}

/** Starts a program on a core. `end` stops it, and it never outlives this process. */
export function spawnOn(core: number, command: string, args: readonly string[]): ChildProcess {
  const [taskset = "", ...before] = pinnedTo(core);
  const child = spawn(taskset, [...before, command, ...args], { env: ENV, stdio: ["ignore", "pipe", "pipe"] });
  // Drains stdout: without a reader, a full pipe would block the program.
  child.stdout.resume();
  child.stderr.resume();
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  return child;
}

/** Sends SIGTERM, and SIGKILL after 5 s. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await within(exited, 5_000, () => "still there").catch(() => child.kill("SIGKILL"));
  await exited;
}

/** The first line that a program prints; rejects with its output if it ends before that. */
export function firstLine(child: ChildProcess): Promise<string> {
  let said = "";
  const line = new Promise<string>((resolve, reject) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("\n")) resolve(said.slice(0, said.indexOf("\n")));
    });
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`ended before it was ready:\n${said}`)));
  });
  return within(line, 10_000, () => `not ready in time:\n${said}`);
}

/** The whole output of a program. Throws if it cannot be run. */
export function outputOf(command: string, args: readonly string[]): string {
  const { stdout, stderr, error } = spawnSync(command, args, { env: ENV, encoding: "utf8" });
  if (error !== undefined) throw error;
  return stdout + stderr;
}

/** User and system time so far of a process, its threads and its descendants, µs. */
export function cpuMicros(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + ticksOf(member) * TICK_MICROS, 0);
}

/** User and system time so far of everything on a core, µs. */
export function coreMicros(core: number): number {
  const [, user, nice, system] =
    new RegExp(`^cpu${core} (\\d+) (\\d+) (\\d+)`, "m").exec(readOrNothing("/proc/stat")) ?? [];
  return (Number(user) + Number(nice) + Number(system)) * TICK_MICROS;
}

/**
 * Sums over a process and its descendants, bytes: the peak (VmHWM) and the current size (VmRSS). Also the number of
 * processes.
 */
export function residentBytes(pid: number): {
  readonly peak: number;
  readonly now: number;
  readonly processes: number;
} {
  const family = familyOf(pid);
  const total = { peak: 0, now: 0, processes: family.length };
  for (const member of family) {
    const status = readOrNothing(`/proc/${member}/status`);
    total.peak += 1_024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    total.now += 1_024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return total;
}

/** Sampling interval of all processes' memory, milliseconds. */
const LOOK_MS = 250;

/**
 * Peak memory of a process and its descendants at one time, bytes, by sampling. `resident` counts all pages of each
 * process; `shared` counts pages that several share once (Pss).
 */
export function watchMemory(pid: number): { end(): { readonly resident: number; readonly shared: number } } {
  const most = { resident: 0, shared: 0 };
  const timer = setInterval(() => {
    most.resident = Math.max(most.resident, residentBytes(pid).now);
    const shares = familyOf(pid).map((member) => /^Pss:\s+(\d+)/m.exec(readOrNothing(`/proc/${member}/smaps_rollup`)));
    most.shared = Math.max(most.shared, 1_024 * shares.reduce((sum, share) => sum + Number(share?.[1] ?? 0), 0));
  }, LOOK_MS);
  return {
    end() {
      clearInterval(timer);
      return most;
    },
  };
}

/**
 * Resolves once the process uses less than 5 % of a core, so the work after its responses is done. Gives up after 60 s.
 */
export async function idle(pid: number): Promise<void> {
  for (let round = 0, before = cpuMicros(pid); round < 240; round += 1) {
    await delay(250);
    const after = cpuMicros(pid);
    if (after - before < 2 * TICK_MICROS) return;
    before = after;
  }
}

function familyOf(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))[1] ?? 0);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const family = [pid];
  for (const member of family) family.push(...(parents.get(member) ?? []));
  return family;
}

function ticksOf(pid: number): number {
  const fields = statFields(pid);
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

/** Fields of /proc/<pid>/stat from the third on. The second is a name in brackets that may contain blanks. */
function statFields(pid: number): string[] {
  const text = readOrNothing(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // the process has ended
  }
}
