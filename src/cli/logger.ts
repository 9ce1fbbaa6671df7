// Where the log goes: one JSON object a line for machines, readable lines on a terminal. Secrets are never handed in.
import pino from "pino";
import pretty from "pino-pretty";
import { HuiyuanError } from "../errors.ts";
import type { Log } from "../log.ts";

export interface LoggerOptions {
  readonly isInteractive: boolean;
  /** `debug`, `info`, `warn`, `error`. */
  readonly level: string;
  readonly destination: NodeJS.WritableStream;
}

export function createLogger({ isInteractive, level, destination }: LoggerOptions): Log {
  const options = { level, base: null, serializers: { err: describeError } };
  if (!isInteractive) return pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return pino(options, pretty({ destination, sync: true, ignore: "pid,hostname", translateTime: "HH:MM:ss.l" }));
}

/** Code and message along the chain of causes; a stack only where the error is a fault of this program. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = error instanceof HuiyuanError ? error.code : (error as NodeJS.ErrnoException).code;
  const isNamed = error instanceof HuiyuanError && error.code !== "internal";
  return {
    code,
    message: error.message,
    ...(isNamed || depth > 0 ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= 3 ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}
