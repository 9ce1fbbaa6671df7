// Whether a client waits for "100 Continue" before it sends its body (RFC 9110 §10.1.1). Some send the header empty. Pure.
import type { IncomingMessage } from "node:http";

export function awaitsContinue({ headers, httpVersion }: Pick<IncomingMessage, "headers" | "httpVersion">): boolean {
  return (headers.expect ?? "") !== "" && httpVersion === "1.1";
}
