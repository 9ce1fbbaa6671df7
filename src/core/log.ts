// The log that every room is handed. The shape is all that rooms know; cli/ decides where it goes.

/** Fields go beside the message; secrets, tokens and client addresses' cookies never do. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that says nothing, for tests and for parts that were given none. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
