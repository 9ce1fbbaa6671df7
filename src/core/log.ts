// The log interface that every room is given. Rooms know only this shape; operate/cli/logger.ts decides where the lines
// are written.

/** Fields accompany the message. They never contain secrets, tokens or clients' cookies. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that writes nothing, for tests and for parts without a log. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
