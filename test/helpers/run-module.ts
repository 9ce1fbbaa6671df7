// Runs the text of a JavaScript module in a folder of its own, as a reader of the docs would.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { within } from "./program.ts";

export interface ModulePlace {
  /** The module resolves packages from this folder's node_modules. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface RunningModule {
  /** The next line of its output. */
  line(): Promise<string>;
  stop(): Promise<void>;
}

/** Runs the module to its end; returns its output. */
export async function runModule(text: string, { folder, env }: ModulePlace): Promise<string> {
  const file = join(folder, "example.mjs");
  await writeFile(file, text);
  const options = { cwd: folder, env: { ...process.env, ...env }, timeout: 60_000 };
  return (await promisify(execFile)(process.execPath, [file], options)).stdout;
}

export async function startModule(text: string, { folder, env }: ModulePlace): Promise<RunningModule> {
  const file = join(folder, "server.mjs");
  await writeFile(file, text);
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const child = spawn(process.execPath, [file], { cwd: folder, env: { ...process.env, ...env }, stdio: [...stdio] });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    line: async () => String((await within(lines.next(), 20_000, () => "no line of the module")).value),
    async stop() {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}
