// Runs commands of the built program without a new process for each: loading the program takes most of the time of a
// short command. For tests of output, exit codes and effects. Tests of signals, and of what ends with a process, use
// huiyuan() of program.ts.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Ended, PATIENCE_MS, PROGRAM, within } from "./program.ts";

const HOST = fileURLToPath(new URL("loaded-program-host.mjs", import.meta.url));

/** Hosts that run no command now. They end with the test file's process. */
const idle: ChildProcess[] = [];

/** As huiyuan(), in a host that has the program loaded. Commands that overlap have a host each. */
export async function loadedHuiyuan(
  args: readonly string[],
  { env = {}, input = "" }: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Ended> {
  const host = idle.pop() ?? startHost();
  const over = new AbortController();
  const ended = Promise.race([
    once(host, "message", { signal: over.signal }).then(([answer]) => answer as Ended),
    once(host, "exit", { signal: over.signal }).then(([code, signal]): never => {
      throw new Error(`the host of huiyuan ${args.join(" ")} ended (${code ?? signal})`);
    }),
  ]);
  host.send({ args, env, input });
  try {
    const answer = await within(ended, PATIENCE_MS, () => `huiyuan ${args.join(" ")} did not end`);
    idle.push(host);
    return answer;
  } catch (error) {
    host.kill("SIGKILL");
    throw error;
  } finally {
    over.abort();
  }
}

function startHost(): ChildProcess {
  const host = fork(HOST, [PROGRAM], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
  host.unref();
  host.channel?.unref();
  return host;
}
