// The HTTP server of the trial's pages: it listens on loopback, and answers under a strict Content-Security-Policy. It
// knows no page.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface PageServer {
  /** `http://127.0.0.1:port`, without a final slash. */
  readonly url: string;
  /** Closes open connections; resolves when the port is free. */
  close(): Promise<void>;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Listens on any free port of this machine. `closing` aborts at close(). If an answer rejects, its connection ends. */
export async function startPageServer(createAnswer: (closing: AbortSignal) => Answer): Promise<PageServer> {
  const closing = new AbortController();
  const answer = createAnswer(closing.signal);
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy()); // the client left, or the server is closing
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 20_000;
  server.maxConnections = 512;
  await once(server.listen(0, "127.0.0.1"), "listening"); // an error rejects it
  const { port } = server.address() as AddressInfo; // a TCP listener's address is never a string
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Writes the head of an HTML page. Returns the nonce of its style and script. */
export function beginPage(response: ServerResponse): string {
  const nonce = randomBytes(16).toString("base64url");
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": `default-src 'none'; img-src http: https: data:; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    "X-Content-Type-Options": "nosniff",
  });
  return nonce;
}

export function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" });
  response.end(`${text}\n`);
}
