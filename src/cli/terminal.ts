// How a command talks to a person or to a machine. No command logic.
import type { Writable } from "node:stream";

/** Where a command's words go. Tests pass their own streams. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable;
  /** True when `out` is a terminal and NO_COLOR is not set: colours and bars are welcome. */
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

/** What a command ends with: 0 done, 1 failed, 2 usage. */
export type ExitCode = 0 | 1 | 2;
