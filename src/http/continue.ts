// Whether a client waits for "100 Continue" before it sends its body (RFC 9110 §10.1.1). Some send the header empty. Pure.
import type { IncomingMessage } from "node:http";

export function awaitsContinue({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return (headers.expect ?? "") !== "";
}
