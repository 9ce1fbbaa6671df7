// Makes request ids: cheap, unique, and without meaning for a client. An id is never taken from a request.
import { randomBytes } from "node:crypto";

/** Returns a source of ids; each has the random part of the process, then a counter. */
export function createRequestIds(): () => string {
  const process = randomBytes(8).toString("hex");
  let count = 0;
  return () => {
    count += 1;
    return `${process}-${count.toString(36)}`;
  };
}
