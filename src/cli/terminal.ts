// The output streams of a command. No command logic.
import type { Writable } from "node:stream";

/** Output of a command. Tests pass their own streams. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable;
  /** True if `out` is a terminal and NO_COLOR is not set: the command may use colours and progress bars. */
  readonly isInteractive: boolean;
}

/** The process's own terminal. */
export function processTerminal(): Terminal {
  return {
    out: process.stdout,
    err: process.stderr,
    isInteractive: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  };
}

/** 0: done, 1: failed, 2: wrong usage. */
export type ExitCode = 0 | 1 | 2;
