// Request ids: cheap, unique, and telling nothing. Never taken from a client.
import { randomBytes } from "node:crypto";

/** A source of ids: a random part of the process, then a counter. */
export function createRequestIds(): () => string {
  const process = randomBytes(8).toString("hex");
  let count = 0;
  return () => {
    count += 1;
    return `${process}-${count.toString(36)}`;
  };
}
