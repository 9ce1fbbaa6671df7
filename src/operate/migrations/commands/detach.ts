// `huiyuan migrate start --detach`: runs the same command in the background, with its output in the job folder.
import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type ExitCode, shown, type Terminal } from "../../cli/terminal.ts";
import type { JobFolder } from "../../migrations/journal/job-folder.ts";

const POLL_MS = 20;

/** Returns once the run works, or has ended. */
export async function startDetached(folder: JobFolder, terminal: Terminal): Promise<ExitCode> {
  mkdirSync(folder.dir, { recursive: true, mode: 0o700 });
  const output = openSync(folder.output, "a", 0o600);
  const before = readFileSync(folder.output).byteLength;
  const args = process.argv.slice(1).filter((argument) => argument !== "--detach");
  const stdio = ["ignore", output, output] as const;
  const child = spawn(process.execPath, [...process.execArgv, ...args], { detached: true, stdio: [...stdio] });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  while (!hasEnded() && folder.pid() !== child.pid) await delay(POLL_MS);
  if (hasEnded()) {
    terminal.err.write(readFileSync(folder.output).subarray(before));
    return child.exitCode === 0 || child.exitCode === 2 ? child.exitCode : 1;
  }
  child.unref();
  terminal.out.write(`Runs in the background as process ${child.pid}; its output is in ${shown(folder.output)}\n`);
  return 0;
}
