// Runs the work of a process, and then ends the process. Only this file ends one. It also sets V8's flags.
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { HuiyuanError } from "../../core/errors.ts";
import { SettingsFaults } from "../../settings/faults.ts";
import type { Terminal } from "./terminal.ts";

const USAGE = 2;
const FLUSH_MS = 5_000;

/** The work sets `process.exitCode`. An error of it is printed, and the code is then 1, or 2 for wrong usage. */
export async function runToEnd(work: () => Promise<unknown>, terminal: Terminal): Promise<never> {
  // Start full collections later: not as soon as one more young generation might not fit.
  setFlagsFromString("--heap-growing-percent=100");
  setFlagsFromString("--incremental-marking-soft-trigger=80");
  try {
    await work();
  } catch (error) {
    process.exitCode = exitCodeOf(error, terminal);
  }
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  process.exit();
}

/** Waits until a slow reader of a pipe has taken the output. A reader that takes nothing must not stop the exit. */
async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0) return;
  stream.on("error", () => undefined); // the reader has closed it
  await Promise.race([new Promise((resolve) => stream.write("", resolve)), delay(FLUSH_MS)]);
}

/**
 * Ends a process whose stop was not complete in time, as a second signal does: process.exit() waits for threads, which
 * may wait for a slow disk. All output is written by now. Process 1 of a container cannot end itself by a signal and
 * goes on; the container runtime kills it.
 */
export function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Prints the error, unless commander has printed it. */
function exitCodeOf(error: unknown, { err }: Terminal): number {
  if (isUsage(error)) return error.exitCode === 0 ? 0 : USAGE;
  const message = error instanceof Error ? error.message : String(error);
  err.write(`huiyuan: ${message}\n`);
  const isNamed = error instanceof HuiyuanError || error instanceof SettingsFaults;
  if (!isNamed && error instanceof Error) err.write(`${error.stack}\n`);
  return 1;
}

function isUsage(error: unknown): error is { readonly exitCode: number } {
  return error instanceof Error && error.constructor.name === "CommanderError";
}

/**
 * Loading code and starting create much garbage at once. V8 would grow its young generation by 16 MB for that, and it
 * never shrinks it. `false` sets V8's default again: under load a larger young generation pays off.
 */
export function keepYoungGenerationSmall(isKept: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${isKept ? 1 : 2}`);
}
