// Other programs under measurement: started on one core, their CPU time and memory read from /proc, and ended.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { within } from "../helpers/program.ts";

/** Servers on the one, load and origin on the other: they must not take each other's time. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

// Debian keeps servers in /usr/sbin, which is not on everybody's PATH.
const ENV = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };

/** Kernel ticks a second in /proc/<pid>/stat: 100 on Linux, whatever the kernel's own rate. */
const TICK_MICROS = 10_000;

export function pinnedTo(core: number): readonly string[] {
  return ["taskset", "-c", String(core)];
}

/** Starts a program on a core. It ends with `end`, at the latest with this process. */
export function spawnOn(core: number, command: string, args: readonly string[]): ChildProcess {
  const [taskset = "", ...before] = pinnedTo(core);
  const child = spawn(taskset, [...before, command, ...args], { env: ENV, stdio: ["ignore", "pipe", "pipe"] });
  // Nobody may be reading, and a full pipe would stop it.
  child.stdout.resume();
  child.stderr.resume();
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  return child;
}

/** SIGTERM, and SIGKILL when it takes more than 5 s. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await within(exited, 5_000, () => "still there").catch(() => child.kill("SIGKILL"));
  await exited;
}

/** First line that a program prints; rejects with what it said when it ends instead. */
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

/** What a program prints until it ends. Throws when it cannot be run. */
export function outputOf(command: string, args: readonly string[]): string {
  const { stdout, stderr, error } = spawnSync(command, args, { env: ENV, encoding: "utf8" });
  if (error !== undefined) throw error;
  return stdout + stderr;
}

/** User and system time of a process with its threads and descendants so far, µs. */
export function cpuMicros(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + ticksOf(member) * TICK_MICROS, 0);
}

/** User and system time of everything that ran on a core so far, µs. */
export function coreMicros(core: number): number {
  const [, user, nice, system] =
    new RegExp(`^cpu${core} (\\d+) (\\d+) (\\d+)`, "m").exec(readOrNothing("/proc/stat")) ?? [];
  return (Number(user) + Number(nice) + Number(system)) * TICK_MICROS;
}

/** Sum over a process and its descendants, bytes: the most ever (VmHWM) and now (VmRSS); and how many they are. */
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

/** How often all processes are looked at for their peak, milliseconds. */
const LOOK_MS = 250;

/**
 * The most that a process and its descendants held at one time, bytes, as often as it is looked: `resident`, each with all its
 * pages; `shared`, with pages that several have counted once (Pss).
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

/** Resolves when the process takes less than 5 % of a core: what it does behind its answers is done. Gives up after 60 s. */
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

/** Fields of /proc/<pid>/stat from the third on: the second, a name in brackets, may hold blanks. */
function statFields(pid: number): string[] {
  const text = readOrNothing(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has ended meanwhile
  }
}
