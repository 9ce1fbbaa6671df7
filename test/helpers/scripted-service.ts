// A REST API with scripted responses that records its requests. For the SDK's own tests.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ServiceRequest {
  readonly method: string;
  /** The raw request target. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The parts of a multipart body, as text with one character per byte. */
  readonly parts: Readonly<Record<string, string>>;
}

/** `RST` breaks the connection; a function may do anything. */
export type ServiceAnswer =
  | {
      readonly status?: number;
      readonly json?: unknown;
      readonly text?: string;
      readonly headers?: Record<string, string>;
    }
  | "RST"
  | ((request: ServiceRequest, response: ServerResponse) => void);

export interface ScriptedService {
  readonly url: string;
  readonly requests: readonly ServiceRequest[];
  /** Responses to the next calls, in turn; the last one repeats. */
  answers(...next: readonly ServiceAnswer[]): void;
  close(): Promise<void>;
}

export async function startService(): Promise<ScriptedService> {
  const requests: ServiceRequest[] = [];
  let queue: ServiceAnswer[] = [];
  const server = createServer((message, response) => {
    void readRequest(message).then(
      (request) => {
        requests.push(request);
        const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? "RST";
        if (answer === "RST") message.socket.resetAndDestroy();
        else if (typeof answer === "function") answer(request, response);
        else {
          response.writeHead(answer.status ?? 200, { "X-Request-Id": "req-1", ...answer.headers });
          response.end(answer.text ?? JSON.stringify(answer.json));
        }
      },
      () => undefined,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers(...next) {
      queue = [...next];
      requests.length = 0;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function readRequest(message: IncomingMessage): Promise<ServiceRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { method = "", url = "", headers } = message;
  return { method, target: url, headers, body, parts: partsOf(headers["content-type"] ?? "", body) };
}

function partsOf(contentType: string, body: Buffer): Record<string, string> {
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(contentType)?.[1];
  if (boundary === undefined) return {};
  const sections = `\r\n${body.toString("latin1")}`.split(`\r\n--${boundary}`).slice(1, -1);
  return Object.fromEntries(
    sections.map((section) => {
      const end = section.indexOf("\r\n\r\n");
      return [/ name="([^"]*)"/.exec(section.slice(0, end))?.[1] ?? "", section.slice(end + 4)];
    }),
  );
}
