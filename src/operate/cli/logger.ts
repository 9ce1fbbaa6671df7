// Creates the log: one JSON object a line for machines, readable lines on a terminal. Callers log no secrets, but a
// client may have put one into the requested name, so names are redacted.
import pino from "pino";
import pretty from "pino-pretty";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { redactTarget, redactWords } from "../../serve/sign/redact.ts";
import { shownLines } from "./terminal.ts";

export interface LoggerOptions {
  readonly isInteractive: boolean;
  /** `debug`, `info`, `warn`, `error`. */
  readonly level: string;
  readonly destination: NodeJS.WritableStream;
}

/** Buffer while the log output blocks (full disk, stalled reader). Later lines are dropped. Bytes. */
const MAX_BUFFERED_BYTES = 1_048_576;

/** If log output fails, lines are dropped, and the program goes on. */
export function createLogger({ isInteractive, level, destination }: LoggerOptions): Log {
  const options = { level, base: null, serializers: SERIALIZERS };
  if (!isInteractive) {
    const machine = { ...options, timestamp: pino.stdTimeFunctions.isoTime };
    const { fd } = destination as { readonly fd?: unknown }; // a stream of a descriptor has it
    return typeof fd === "number" ? patientLogger(machine, fd) : pino(machine, destination);
  }
  const readable = pretty.prettyFactory({ ignore: "pid,hostname", translateTime: "HH:MM:ss.l" });
  destination.on("error", () => {}); // no other output to report it
  return pino(options, { write: (line) => void destination.write(shownLines(readable(line))) });
}

/**
 * Bypasses node's stream of the same descriptor, which closes for good at the first error and buffers without a limit.
 * This one buffers lines up to a limit, and retries them with the next line.
 */
function patientLogger(options: pino.LoggerOptions, fd: number): Log {
  // By default it sleeps when a pipe is full (EAGAIN). Without a `minLength`, flush() does nothing.
  const lines = pino.destination({
    fd,
    sync: true,
    minLength: 1,
    maxLength: MAX_BUFFERED_BYTES,
    retryEAGAIN: () => false,
  });
  const log = pino(options, lines);
  let lost = 0;
  lines.on("error", () => {}); // no other output to report it
  lines.on("drop", () => {
    lost += 1;
    lines.flush(); // pino tries no write when its buffer is full
  });
  lines.on("drain", () => {
    if (lost === 0) return;
    const count = lost;
    lost = 0;
    log.warn({ lines: count }, "lines of this log are lost: they could not be written");
  });
  return log;
}

/** Code and message of the error and its causes. The stack is added only for errors of this program itself. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return redactWords(String(error));
  const code = error instanceof HuiyuanError ? error.code : (error as NodeJS.ErrnoException).code;
  const isNamed = error instanceof HuiyuanError && error.code !== "internal";
  return {
    code,
    message: redactWords(error.message),
    ...(isNamed || depth > 0 ? {} : { stack: redactWords(error.stack ?? "") }),
    ...(error.cause === undefined || depth >= 3 ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}

const redactName = (name: unknown) => (typeof name === "string" ? redactTarget(name) : name);

const SERIALIZERS = { err: describeError, key: redactName, url: redactName, originUrl: redactName };
