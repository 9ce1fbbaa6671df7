// Where the log goes: one JSON object a line for machines, readable lines on a terminal. Secrets are never handed in, but clients may
// have written one into the name that they ask for.
import pino from "pino";
import pretty from "pino-pretty";
import { HuiyuanError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { redactTarget, redactWords } from "../sign/redact.ts";
import { shownLines } from "./shown.ts";

export interface LoggerOptions {
  readonly isInteractive: boolean;
  /** `debug`, `info`, `warn`, `error`. */
  readonly level: string;
  readonly destination: NodeJS.WritableStream;
}

/** What waits while the log cannot be written, a full disk or a reader that has stalled; what comes then is lost. Bytes. */
const MAX_WAITING = 1_048_576;

/** A log that cannot be written costs lines, never the program. */
export function createLogger({ isInteractive, level, destination }: LoggerOptions): Log {
  const options = { level, base: null, serializers: SERIALIZERS };
  if (!isInteractive) {
    const machine = { ...options, timestamp: pino.stdTimeFunctions.isoTime };
    return isDescriptor(destination) ? patientLogger(machine, destination.fd) : pino(machine, destination);
  }
  const readable = pretty.prettyFactory({ ignore: "pid,hostname", translateTime: "HH:MM:ss.l" });
  destination.on("error", () => {}); // nowhere to say it
  return pino(options, { write: (line) => void destination.write(shownLines(readable(line))) });
}

/**
 * Past node's stream of the same descriptor: that one closes for good at the first error, and keeps all that its reader does not
 * take. Here lines wait, up to a bound, and are tried again with the next one.
 */
function patientLogger(options: pino.LoggerOptions, fd: number): Log {
  // A full pipe is no reason to sleep, which is what it would do. Without a `minLength`, flush() does nothing.
  const lines = pino.destination({ fd, sync: true, minLength: 1, maxLength: MAX_WAITING, retryEAGAIN: () => false });
  const log = pino(options, lines);
  let lost = 0;
  lines.on("error", () => {}); // nowhere to say it
  lines.on("drop", () => {
    lost += 1;
    lines.flush(); // where there is no room for one more, none is tried
  });
  lines.on("drain", () => {
    if (lost === 0) return;
    const count = lost;
    lost = 0;
    log.warn({ lines: count }, "lines of this log are lost: they could not be written");
  });
  return log;
}

function isDescriptor(stream: NodeJS.WritableStream): stream is NodeJS.WritableStream & { readonly fd: number } {
  return "fd" in stream && typeof stream.fd === "number";
}

/** Code and message along the chain of causes; a stack only where the error is a fault of this program. */
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
