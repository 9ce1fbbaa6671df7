// Runs one command in this process and captures its output. Only for commands that end by themselves.
import { Writable } from "node:stream";
import type { Command } from "commander";
import type { Terminal } from "../../src/operate/cli/terminal.ts";

/** A command's output and result. `error`: the thrown error, a CommanderError for wrong usage. */
export interface CommandRun {
  readonly out: string;
  readonly err: string;
  readonly error: Error | undefined;
}

/** `args` exclude the names of the program and of the command. */
export async function run(create: (terminal: Terminal) => Command, args: readonly string[]): Promise<CommandRun> {
  const said = { out: "", err: "" };
  const sink = (name: "out" | "err") =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        said[name] += chunk.toString();
        done();
      },
    });
  const command = create({ out: sink("out"), err: sink("err"), isInteractive: false });
  let error: Error | undefined;
  try {
    await command.parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    error = thrown;
  }
  return { ...said, error };
}
