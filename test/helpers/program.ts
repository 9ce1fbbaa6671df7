// Runs the built program as an operator would: its own process, settings file and data folder.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Path of the built program, for node. */
export const PROGRAM = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const READY = /downloads on http:\/\/\S+?:(\d+), admin on http:\/\/\S+?:(\d+)/;

/** Time for a process to start or end on a busy machine. */
export const PATIENCE_MS = 60_000;
/** A loop without a pause would take CPU time from the program. */
const POLL_MS = 5;

export interface Program {
  readonly downloadPort: number;
  readonly adminPort: number;
  readonly pid: number;
  /** All output on stdout and stderr so far. */
  readonly output: string;
  /** Sends SIGKILL; resolves once the process has ended. */
  kill(): Promise<void>;
  /** Sends SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** A folder with a settings file and a data folder. The caller removes it. */
export interface Installation {
  readonly folder: string;
  readonly file: string;
  readonly data: string;
  /** Overwrites the settings file. */
  write(settings: object): Promise<void>;
  start(options?: StartOptions): Promise<Program>;
  remove(): Promise<void>;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the program, such as `taskset -c 0`. */
  readonly wrap?: readonly string[];
  /** Another build of the program, for comparisons; default: this one. */
  readonly main?: string | undefined;
  /** The program of another node; default: this one. */
  readonly node?: string | undefined;
  /** Flags for node itself, such as --cpu-prof. */
  readonly nodeFlags?: readonly string[];
}

/**
 * `settings` comes without server ports and data; free ports and `<folder>/data` are filled in. The render time-out is
 * longer than the default, because a render process may need seconds to start on a busy machine.
 */
export async function install(settings: object): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-test-"));
  const file = join(folder, "huiyuan.yaml");
  const data = join(folder, "data");
  const write = (next: object) => writeFile(file, JSON.stringify(filledIn(next, data)));
  await write(settings);
  return {
    folder,
    file,
    data,
    write,
    start: (options = {}) => start(file, options),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }),
  };
}

function filledIn(settings: object, data: string): object {
  const { server, limits, ...rest } = settings as { server?: object; limits?: object };
  return {
    server: { host: "127.0.0.1", port: 0, adminPort: 0, accessLog: "off", ...server },
    data,
    limits: { freeDisk: "1MB", renderTime: "25s", ...limits },
    ...rest,
  };
}

async function start(
  file: string,
  { env = {}, wrap = [], main = PROGRAM, node = process.execPath, nodeFlags = [] }: StartOptions,
): Promise<Program> {
  const [command = node, ...before] = [...wrap, node, ...nodeFlags];
  const child = spawn(command, [...before, main, "serve", "--config", file], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ready = new Promise<RegExpExecArray>((resolve, reject) => {
    const listen = (chunk: Buffer) => {
      output += chunk.toString();
      const match = READY.exec(output);
      if (match !== null) resolve(match);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`the program ended (${code ?? signal}) before it was ready:\n${output}`)),
    );
  });
  const [, downloadPort = "", adminPort = ""] = await within(
    ready,
    PATIENCE_MS,
    () => `the program was not ready in time:\n${output}`,
  );
  return {
    downloadPort: Number(downloadPort),
    adminPort: Number(adminPort),
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    kill: () => end(child, "SIGKILL").then(() => undefined),
    stop: () => end(child, "SIGTERM"),
  };
}

export interface Ended {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs one command of the built program to its end. `input` is written to its standard input. */
export async function huiyuan(
  args: readonly string[],
  { env = {}, input = "" }: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    said.out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    said.err += chunk.toString();
  });
  // A command that fails early does not read it.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  await within(
    once(child, "close"),
    PATIENCE_MS,
    () => `huiyuan ${args.join(" ")} did not end:\n${said.out}${said.err}`,
  );
  return { code: child.exitCode, ...said };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  child.kill(signal);
  await within(exited, PATIENCE_MS, () => `the program did not end after ${signal}`);
  return child.exitCode;
}

/** Returns the promise's value, or rejects with an error that names the awaited event. */
export async function within<Value>(promise: Promise<Value>, milliseconds: number, what: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what())), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls every few milliseconds until `check` returns true, for changes that no event announces outside the process. */
export async function eventually(
  check: () => Promise<boolean> | boolean,
  what: string,
  milliseconds = 10_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${milliseconds} ms`);
    await delay(POLL_MS);
  }
}
