// Sends raw bytes to a port and reads the response, for requests that no HTTP client would make.
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/**
 * Returns everything until the peer closes, or until `idleMs` pass without a byte. `firstMs`: time limit for the first
 * byte.
 */
export function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  idleMs = 1_500,
  firstMs = 10_000,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    const finish = () => {
      socket.destroy();
      const [head = "", ...rest] = received.split("\r\n\r\n");
      resolve({ status: Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1] ?? 0), head, body: rest.join("\r\n\r\n") });
    };
    socket.setTimeout(firstMs, finish);
    socket.on("data", (chunk) => {
      socket.setTimeout(idleMs);
      received += chunk.toString("latin1");
    });
    socket.on("close", finish);
    socket.on("error", (error) => (received === "" ? reject(error) : finish()));
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}
